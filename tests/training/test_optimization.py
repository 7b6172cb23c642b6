import numpy as np
import pytest
import timm.optim
import torch
from tiny import model_params

from portrait18.core.errors import UserError
from portrait18.models import backbones
from portrait18.training import optimization


@pytest.fixture
def network():
    torch.manual_seed(0)
    return backbones.create(model_params(backbone="test_efficientnet+test_resnet"), (3,))


def test_the_moving_average_forgets_its_start_and_settles_at_its_decay():
    for steps, share in ((0, 0.1), (8, 0.5), (100_000, 0.9)):
        average, current = torch.tensor([1.0]), torch.tensor([0.0])
        optimization._follow(0.9, [average], [current], torch.tensor(steps))
        assert average.item() == pytest.approx(share)


def rates(**changes):
    params = model_params(epochs=10, **changes)
    return np.array([optimization.learning_rate(step, 20, params) for step in range(200)])


def test_cosine_climbs_to_the_peak_then_falls_to_zero():
    rate = rates(schedule="cosine", warmup_epochs=2)
    assert 0 < rate[0] < 0.05
    assert rate.argmax() == 40
    assert rate.max() == 1
    np.testing.assert_allclose(np.diff(rate[:40]), rate[0])
    assert rate[120] == pytest.approx(0.5)
    assert (np.diff(rate[40:]) < 0).all()
    assert 0 < rate[-1] < 1e-3


def test_steps_and_constant_rates():
    assert set(rates(schedule="constant", warmup_epochs=0)) == {1.0}
    rate = rates(schedule="step", warmup_epochs=0, step_epochs=4, step_factor=0.5)
    assert rate.tolist() == [1.0] * 80 + [0.5] * 80 + [0.25] * 40


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_norms_and_biases_are_not_decayed_and_every_weight_is_moved(network, decay):
    optimizer = optimization.make(network, model_params(weight_decay=0.1, layer_decay=decay))
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert (
        len(of)
        == sum(len(g["params"]) for g in optimizer.param_groups)
        == len(list(network.parameters()))
    )
    for parameter in network.parameters():
        assert of[id(parameter)]["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_layer_decay_scales_the_rate_from_the_head_down_in_each_backbone(network):
    optimizer = optimization.make(network, model_params(layer_decay=0.5))
    optimization.set_rate(optimizer, 0.01)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rate[id(network.head.weight)] == 0.01
    for stem in (network.features[0].backbone.conv_stem, network.features[1].backbone.conv1[0]):
        assert rate[id(stem.weight)] < 0.002


def test_frozen_backbones_keep_weights_and_statistics_while_the_head_moves(network):
    optimizer = optimization.make(network, model_params(weight_decay=0.1, optimizer="sgd"))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    photos = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    moved = []
    for frozen in (True, False):
        optimization.freeze(network, frozen)
        network(photos).square().sum().backward()
        optimizer.step()
        moved.append({k for k, v in network.state_dict().items() if not torch.equal(v, before[k])})
    assert moved[0] == {"head.weight", "head.bias"}
    assert {
        "features.0.backbone.conv_stem.weight",
        "features.0.backbone.bn1.running_mean",
    } <= moved[1]
    assert network.head.training
    assert network.features.training


@pytest.mark.parametrize("name", timm.optim.list_optimizers())
def test_an_optimizer_moves_all_weights_or_is_refused_in_one_line(name):
    params = model_params(optimizer=name, weight_decay=0.1)
    try:
        optimization.require(params)
    except UserError as error:
        assert name.startswith(("fused", "bnb", "adahessian", "kron")), error
        assert len(error.problems) == 1
        assert f"optimizer = {name!r}" in str(error)
        assert "adamw" in str(error)
        return
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2, 3)
    )
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = optimization.make(network, params)
    for _ in range(3):
        optimization.set_rate(optimizer, 0.01)
        optimizer.zero_grad()
        network(torch.ones(2, 3, 3, 3)).square().sum().backward()
        optimizer.step()
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.isfinite(new).all()
        assert not torch.equal(old, new)


def test_an_unknown_optimizer_is_refused_with_where_to_look(network):
    with pytest.raises(
        UserError, match=r"optimizer = 'adamwow'.*near it are .*adamw.*list_optimizers"
    ):
        optimization.make(network, model_params(optimizer="adamwow"))
