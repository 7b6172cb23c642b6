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


def test_the_moving_average_starts_fast_and_settles_at_its_decay():
    network = torch.nn.Linear(1, 1, bias=False)
    ema = optimization.create_ema(network, 0.9)
    for steps, remaining in ((1, 2 / 11), (8, 0.5), (100_000, 0.9)):
        with torch.no_grad():
            ema.module.weight.fill_(1)
            network.weight.fill_(0)
        ema.n_averaged.fill_(steps)
        ema.update_parameters(network)
        assert ema.module.weight.item() == pytest.approx(remaining)


def test_the_first_step_of_the_moving_average_copies_the_network(network):
    ema = optimization.create_ema(network, 0.9)
    with torch.no_grad():
        network.head.weight.add_(1)
    ema.update_parameters(network)
    assert torch.equal(ema.module.head.weight, network.head.weight)


def rates(**changes):
    params = model_params(epochs=10, **changes)
    return np.array([optimization.lr_factor(step, 20, params) for step in range(200)])


def test_cosine_rises_to_the_peak_and_falls_to_zero():
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
    rate = rates(schedule={"name": "step", "epochs": 4, "factor": 0.5}, warmup_epochs=0)
    assert rate.tolist() == [1.0] * 80 + [0.5] * 80 + [0.25] * 40


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_norms_and_biases_have_no_weight_decay_and_all_weights_a_group(network, decay):
    optimizer = optimization.create_optimizer(
        network, model_params(weight_decay=0.1, layer_decay=decay)
    )
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert (
        len(group_of)
        == sum(len(g["params"]) for g in optimizer.param_groups)
        == len(list(network.parameters()))
    )
    for parameter in network.parameters():
        assert group_of[id(parameter)]["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_layer_decay_lowers_the_rate_below_the_head_in_each_backbone(network):
    optimizer = optimization.create_optimizer(network, model_params(layer_decay=0.5))
    optimization.set_lr(optimizer, 0.01)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rate[id(network.head.weight)] == 0.01
    for stem in (network.features[0].backbone.conv_stem, network.features[1].backbone.conv1[0]):
        assert rate[id(stem.weight)] < 0.002


def test_frozen_backbones_keep_weights_and_statistics_while_the_head_trains(network):
    optimizer = optimization.create_optimizer(
        network, model_params(weight_decay=0.1, optimizer="sgd")
    )
    before = {k: v.clone() for k, v in network.state_dict().items()}
    photos = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    changed = []
    for frozen in (True, False):
        optimization.freeze_backbones(network, frozen)
        network(photos).square().sum().backward()
        optimizer.step()
        changed.append(
            {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
        )
    assert changed[0] == {"head.weight", "head.bias"}
    assert {
        "features.0.backbone.conv_stem.weight",
        "features.0.backbone.bn1.running_mean",
    } <= changed[1]
    assert network.head.training
    assert network.features.training


def validation_error(params):
    try:
        optimization.validate(params)
    except UserError as error:
        return error
    return None


@pytest.mark.parametrize("name", timm.optim.list_optimizers())
def test_every_optimizer_updates_all_weights_or_is_rejected_in_one_line(name):
    params = model_params(optimizer=name, weight_decay=0.1)
    error = validation_error(params)
    if error:
        assert name.startswith(("fused", "bnb", "adahessian", "kron")), error
        assert len(error.problems) == 1
        assert f"optimizer = {name!r}" in str(error)
        assert "adamw" in str(error)
        return
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2, 3)
    )
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = optimization.create_optimizer(network, params)
    for _ in range(3):
        optimization.set_lr(optimizer, 0.01)
        optimizer.zero_grad()
        network(torch.ones(2, 3, 3, 3)).square().sum().backward()
        optimizer.step()
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.isfinite(new).all()
        assert not torch.equal(old, new)


def test_an_unknown_optimizer_is_rejected_with_similar_names(network):
    with pytest.raises(
        UserError, match=r"optimizer = 'adamwow'.*similar names: .*adamw.*list_optimizers"
    ):
        optimization.create_optimizer(network, model_params(optimizer="adamwow"))
