from math import log

import pytest
import torch
from tiny import model_params
from torch.nn import functional as F

from portrait18 import losses
from portrait18.errors import UserError

VALUE = dict(task="age", target="value")
OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TOLD = F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()


def value_of(name, outputs, told, **changes):
    params = model_params(loss=name, **changes)
    return losses.make(params)(outputs, told, params)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_torchs(smoothing):
    told = TOLD * (1 - smoothing) + smoothing / 3
    expected = F.cross_entropy(OUTPUTS, TOLD.argmax(1), label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(value_of("cross-entropy", OUTPUTS, told), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_focal_with_gamma_zero_is_cross_entropy(smoothing):
    told = TOLD * (1 - smoothing) + smoothing / 3
    focal = value_of("focal", OUTPUTS, told, focal_gamma=0)
    torch.testing.assert_close(focal, value_of("cross-entropy", OUTPUTS, told))


def test_focal_by_hand():
    outputs = torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]]).log()
    told = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    expected = [-(0.5**2) * log(0.5), -0.5 * (0.1**2 * log(0.9) + 0.95**2 * log(0.05))]
    torch.testing.assert_close(value_of("focal", outputs, told, focal_gamma=2.0), torch.tensor(expected))


def test_focal_counts_easy_photos_less():
    easy, hard = torch.tensor([[5.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    outputs, told = torch.cat([easy, hard]), TOLD[[0, 0]]
    share = value_of("focal", outputs, told, focal_gamma=2.0) / value_of("cross-entropy", outputs, told)
    assert share[0] < 0.001 and share[1] > 0.4


@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
def test_the_losses_of_heads_are_summed(name):
    params = model_params(loss=name, task="all", target="heads")
    outputs, told = torch.cat([OUTPUTS, OUTPUTS[:, :2].flip(0)], 1), torch.cat([TOLD, TOLD[:, 1:]], 1)
    expected = value_of(name, OUTPUTS, TOLD) + value_of(name, OUTPUTS[:, :2].flip(0), TOLD[:, 1:])
    torch.testing.assert_close(losses.make(params, (3, 2))(outputs, told, params), expected)


def test_gaussian_is_the_likelihood_times_the_deviation():
    outputs, told = torch.tensor([[0.5, -1.0], [-1.0, 0.3], [2.0, 2.5]]), torch.tensor([0.0, -1.0, 1.0])
    variance = outputs[:, 1].exp()
    likelihood = F.gaussian_nll_loss(outputs[:, 0], told, variance, reduction="none")
    torch.testing.assert_close(value_of("gaussian", outputs, told, **VALUE), likelihood * variance.sqrt())


def test_gaussians_gradient_for_the_mean_is_the_error_over_the_deviation():
    outputs = torch.tensor([[0.5, -1.0], [2.0, 1.0]], requires_grad=True)
    told = torch.tensor([0.0, 0.5])
    value_of("gaussian", outputs, told, **VALUE).sum().backward()
    mean, log_variance = outputs.detach().T
    torch.testing.assert_close(outputs.grad[:, 0], (mean - told) / (log_variance / 2).exp())


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("name", ["cross-entropy", "focal", "gaussian"])
def test_losses_and_gradients_stay_finite_at_extremes(name, scale):
    more = VALUE if name == "gaussian" else {}
    outputs = (OUTPUTS[:, :2] if more else OUTPUTS).mul(scale).clone().requires_grad_()
    told = torch.linspace(-2, 2, 6) if more else TOLD
    value = value_of(name, outputs, told, **more)
    value.sum().backward()
    assert value.shape == (6,) and value.isfinite().all() and outputs.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("gaussian", {}, r"'gaussian' does not go with target classes; use cross-entropy \| focal$"),
        ("focal", VALUE, "'focal' does not go with target value; use gaussian$"),
        ("gaussian", dict(task="all", target="heads"), r"target heads; use cross-entropy \| focal$"),
        ("hinge", {}, "'hinge' .* use cross-entropy"),
    ],
)
def test_a_loss_of_another_target_is_refused_with_those_that_fit(name, target, allowed):
    with pytest.raises(UserError, match=allowed):
        losses.make(model_params(loss=name, **target))
