from typing import get_args

import pytest
import torch
from tiny import model_params
from torch.nn import functional as F

from portrait18.core.validation import tagged
from portrait18.core.variants import HeadParams
from portrait18.models.heads import HEADS, KernelHead, make_head

FEATURES = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))


def head(widths=(3,), **changes):
    torch.manual_seed(0)
    made = make_head(16, widths, model_params(**changes)).eval()
    if isinstance(made, KernelHead):
        made.support = FEATURES[:4].half()
        made.coefficients = torch.randn(4, sum(widths))
    else:
        torch.nn.init.normal_(made.weight)
    return made


def test_a_linear_head_is_a_linear_layer():
    linear = head(dropout=0.5)
    torch.testing.assert_close(linear(FEATURES), FEATURES @ linear.weight.T + linear.bias)


def test_a_cosine_head_gives_scaled_cosines_and_has_no_bias():
    cosine = head(head={"name": "cosine", "scale": 8.0})
    expected = F.cosine_similarity(FEATURES[:, None], cosine.weight[None], dim=2)
    torch.testing.assert_close(cosine(FEATURES), 8 * expected)
    assert [name for name, _ in cosine.named_parameters()] == ["weight"]


def test_a_unit_head_gives_each_head_logits_of_length_scale():
    unit, linear = head((3, 2), head={"name": "unit", "scale": 8.0}), head((3, 2))
    mask, gender = unit(FEATURES).split((3, 2), 1)
    for part, plain in zip((mask, gender), linear(FEATURES).split((3, 2), 1), strict=True):
        torch.testing.assert_close(part.norm(dim=1), torch.full((5,), 8.0))
        torch.testing.assert_close(part / 8, plain / plain.norm(dim=1, keepdim=True))


def test_dropout_samples_repeat_the_batch_with_other_dropout_masks():
    many = head(dropout=0.5, dropout_samples=3)
    assert many(FEATURES).shape == (5, 3)
    outputs = many.train()(FEATURES)
    assert outputs.shape == (15, 3)
    first, second, third = outputs.split(5)
    assert (first != second).any()
    assert (second != third).any()
    samples = head(dropout=0.5, dropout_samples=4000).train()(FEATURES[:1])
    torch.testing.assert_close(samples.mean(0), head()(FEATURES[:1])[0], atol=0.4, rtol=0)


@pytest.mark.parametrize("name", list(HEADS))
def test_dropout_is_off_outside_training(name):
    made = head(head=name, dropout=0.5)
    assert (made(FEATURES) == made(FEATURES)).all()


def test_every_head_of_the_params_is_implemented():
    assert set(HEADS) == set(tagged(get_args(HeadParams)[0]))


def test_an_mlp_head_has_hidden_layers_with_relu():
    mlp = head(head={"name": "mlp", "width": 7, "depth": 2}, dropout=0.5)
    hidden = FEATURES
    for layer in mlp.hidden:
        hidden = F.relu(layer(hidden))
    assert [layer.out_features for layer in mlp.hidden] == [7, 7]
    torch.testing.assert_close(mlp(FEATURES), F.linear(hidden, mlp.weight, mlp.bias))


def test_a_kernel_head_sums_gaussians_around_its_landmarks():
    kernel = head(head={"name": "kernel", "gamma": 0.8, "C": 1.0, "landmarks": 4})
    distances = torch.cdist(FEATURES, kernel.support.float())
    expected = torch.exp(-0.8 / 16 * distances**2) @ kernel.coefficients
    torch.testing.assert_close(kernel(FEATURES), expected, atol=1e-4, rtol=1e-4)
