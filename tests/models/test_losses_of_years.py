"""Losses of models that predict years."""

import pandas as pd
import pytest
import torch
from loss_cases import DISTRIBUTION, RANK, VALUE, loss_of
from tiny import loss, model_params
from torch.nn import functional as F

from portrait18.models.targets import make_target


def test_cumulative_is_the_mean_over_the_years_of_binary_cross_entropy():
    outputs, targets = torch.randn(4, 100), (torch.rand(4, 100) > 0.5).float()
    p = outputs.sigmoid()
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean(1)
    value = loss_of("cumulative", outputs, targets, model=RANK)
    torch.testing.assert_close(value, expected)


def test_gaussian_is_the_likelihood_times_the_deviation():
    outputs, targets = (
        torch.tensor([[0.5, -1.0], [-1.0, 0.3], [2.0, 2.5]]),
        torch.tensor([0.0, -1.0, 1.0]),
    )
    variance = outputs[:, 1].exp()
    likelihood = F.gaussian_nll_loss(outputs[:, 0], targets, variance, reduction="none")
    torch.testing.assert_close(
        loss_of("gaussian", outputs, targets, model=VALUE), likelihood * variance.sqrt()
    )


def test_gaussians_gradient_for_the_mean_is_the_error_over_the_deviation():
    outputs = torch.tensor([[0.5, -1.0], [2.0, 1.0]], requires_grad=True)
    targets = torch.tensor([0.0, 0.5])
    loss_of("gaussian", outputs, targets, model=VALUE).sum().backward()
    mean, log_variance = outputs.detach().T
    torch.testing.assert_close(outputs.grad[:, 0], (mean - targets) / (log_variance / 2).exp())


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_dldl_v2_adds_the_error_of_the_expected_age(weight):
    target = make_target(model_params(**DISTRIBUTION, loss=loss("dldl-v2")))
    ages = torch.tensor([20.0, 33.0, 61.0])
    targets = target.encode(pd.DataFrame({"age": ages.numpy()}))
    outputs = torch.randn(3, 101, generator=torch.Generator().manual_seed(1))
    expected = (outputs.softmax(1) * torch.arange(101)).sum(1)
    value = loss_of("dldl-v2", outputs, targets, model=DISTRIBUTION, weight=weight)
    plain = loss_of("soft-cross-entropy", outputs, targets, model=DISTRIBUTION)
    torch.testing.assert_close(value - plain, weight * (expected - ages).abs())


def test_dldl_v2_pulls_the_expected_age_towards_the_label():
    target = make_target(model_params(**DISTRIBUTION, loss=loss("dldl-v2")))
    targets = target.encode(pd.DataFrame({"age": [35.0]}))
    outputs = (-0.1 * (torch.arange(101.0) - 50) ** 2)[None].requires_grad_()
    for name in ("soft-cross-entropy", "dldl-v2"):
        outputs.grad = None
        loss_of(name, outputs, targets, model=DISTRIBUTION).sum().backward()
        shift = target.years(outputs - 0.1 * outputs.grad) - target.years(outputs)
        assert (shift.item() < -0.01) == (name == "dldl-v2")


#: What each loss needs besides the defaults.
