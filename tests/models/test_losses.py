from math import log
from typing import get_args

import pytest
import torch
from loss_cases import COUNTS, DISTRIBUTION, RANK, VALUE, loss_of
from torch.nn import functional as F

from portrait18.core.loss_params import LossParams
from portrait18.core.validation import tagged
from portrait18.models.losses import LOSSES

OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TARGETS = F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_torchs(smoothing):
    expected = F.cross_entropy(
        OUTPUTS, TARGETS.argmax(1), label_smoothing=smoothing, reduction="none"
    )
    torch.testing.assert_close(
        loss_of("cross-entropy", OUTPUTS, TARGETS, label_smoothing=smoothing), expected
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_focal_with_gamma_zero_is_cross_entropy(smoothing):
    focal = loss_of("focal", OUTPUTS, TARGETS, gamma=0, label_smoothing=smoothing)
    plain = loss_of("cross-entropy", OUTPUTS, TARGETS, label_smoothing=smoothing)
    torch.testing.assert_close(focal, plain)


def test_focal_by_hand():
    outputs = torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]]).log()
    targets = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    expected = [-(0.5**2) * log(0.5), -0.5 * (0.1**2 * log(0.9) + 0.95**2 * log(0.05))]
    torch.testing.assert_close(
        loss_of("focal", outputs, targets, gamma=2.0), torch.tensor(expected)
    )


def test_focal_counts_easy_photos_less():
    easy, hard = torch.tensor([[5.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    outputs, targets = torch.cat([easy, hard]), TARGETS[[0, 0]]
    share = loss_of("focal", outputs, targets, gamma=2.0) / loss_of(
        "cross-entropy", outputs, targets
    )
    assert share[0] < 0.001
    assert share[1] > 0.4


HEADS = {"task": "all", "target": "heads"}
SOFT = {"label_smoothing": 0.1, "class_weight": 0.5}


@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
def test_losses_of_several_heads_are_summed(name):
    parts = OUTPUTS, OUTPUTS[:, :2].flip(0), OUTPUTS.flip(1)
    targets, counts = (
        (TARGETS, TARGETS[:, 1:], TARGETS.flip(0)),
        (COUNTS, COUNTS[1:], COUNTS.flip(0)),
    )
    expected = sum(
        loss_of(name, *part, **SOFT) for part in zip(parts, targets, counts, strict=True)
    )
    joined = torch.cat(parts, 1), torch.cat(targets, 1), torch.cat(counts)
    together = loss_of(name, *joined, model=HEADS, **SOFT)
    torch.testing.assert_close(together, expected)


def test_class_weights_grow_with_rarity_and_keep_the_mean():
    plain = loss_of("cross-entropy", OUTPUTS, TARGETS)
    weight = (loss_of("cross-entropy", OUTPUTS, TARGETS, class_weight=1.0) / plain)[:3]
    torch.testing.assert_close(weight * COUNTS, torch.full((3,), (weight * COUNTS)[0].item()))
    assert (weight * COUNTS).sum() == pytest.approx(COUNTS.sum().item())
    root = (loss_of("cross-entropy", OUTPUTS, TARGETS, class_weight=0.5) / plain)[:3]
    assert root[2] / root[0] == pytest.approx(20**0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("progress", "weighted"), [(0.0, False), (0.59, False), (0.6, True), (0.9, True)]
)
def test_class_weights_apply_from_the_given_progress_on(progress, weighted):
    late = loss_of(
        "cross-entropy",
        OUTPUTS,
        TARGETS,
        progress=progress,
        class_weight=1.0,
        class_weight_from=0.6,
    )
    power = 1.0 if weighted else 0.0
    expected = loss_of("cross-entropy", OUTPUTS, TARGETS, class_weight=power)
    torch.testing.assert_close(late, expected)


def test_soft_f1_of_confident_predictions_is_one_minus_macro_f1():
    decided = torch.tensor([0, 1, 1, 0, 2, 2])
    value = loss_of("soft-f1", 100 * F.one_hot(decided, 3).float(), TARGETS)
    f1 = [
        1.0,
        0.5,
        0.5,
    ]  # class 0: 2 of 2; class 1: one right, one wrong, one missed; class 2 likewise
    torch.testing.assert_close(value, torch.full((6,), 1 - sum(f1) / 3))


def test_soft_f1_ignores_classes_that_are_not_in_the_batch():
    decided = torch.tensor([0, 1, 1])
    value = loss_of("soft-f1", 100 * F.one_hot(decided, 3).float(), TARGETS[[0, 1, 1]])
    assert value.max() < 1e-5


def test_soft_f1_has_a_gradient_if_a_class_is_neither_present_nor_predicted():
    outputs = torch.tensor([[100.0, 0, -200], [0, 100, -200]], requires_grad=True)
    loss_of("soft-f1", outputs, TARGETS[:2]).sum().backward()
    assert outputs.grad.isfinite().all()


UNIT = 16 * F.normalize(OUTPUTS, dim=1)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_cosine_is_the_distance_to_the_label_plus_cross_entropy(weight):
    distance = F.cosine_embedding_loss(UNIT, TARGETS, torch.ones(6), reduction="none")
    expected = weight * distance + F.cross_entropy(UNIT, TARGETS, reduction="none")
    torch.testing.assert_close(
        loss_of("cosine", UNIT, TARGETS, model={"head": "unit"}, weight=weight), expected
    )


def test_cosines_floor_lies_low_thanks_to_the_scale():
    assert loss_of("cosine", 16 * TARGETS, TARGETS, model={"head": "unit"}).max() < 1e-5
    assert loss_of("cosine", TARGETS, TARGETS, model={"head": "unit"}).min() == pytest.approx(
        0.551, abs=1e-3
    )  # what it would be at 1


COSINES = torch.tensor([[0.8, 0.1, -0.5], [-0.3, 0.6, 0.2], [0.1, -0.2, -0.95]])
COSINE = {"head": {"name": "cosine", "scale": 10.0}}


@pytest.mark.parametrize("name", ["ldam", "arcface"])
def test_without_a_margin_they_are_cross_entropy_of_the_scaled_cosines(name):
    targets = torch.tensor([[1.0, 0, 0], [0, 0.7, 0.3], [0, 0, 1]])
    value = loss_of(name, 10 * COSINES, targets, margin=0.0, model=COSINE)
    torch.testing.assert_close(
        value, F.cross_entropy(10 * COSINES, targets, reduction="none"), rtol=1e-4, atol=1e-4
    )


def test_arcface_adds_the_margin_to_the_angle_of_the_true_class():
    logits, true = 10 * COSINES.clone(), torch.arange(3)
    logits[0, 0] = 10 * torch.tensor(0.8).acos().add(0.5).cos()
    logits[1, 1] = 10 * torch.tensor(0.6).acos().add(0.5).cos()
    logits[2, 2] = 10 * (-0.95 - 0.5 * torch.tensor(0.5).sin())  # the angle would pass pi
    expected = F.cross_entropy(logits, true, reduction="none")
    torch.testing.assert_close(
        loss_of("arcface", 10 * COSINES, TARGETS[:3], margin=0.5, model=COSINE), expected
    )


def test_ldams_margins_go_with_the_fourth_root_of_rarity():
    logits, true = 10 * COSINES.clone(), torch.arange(3)
    for c, count in enumerate((100, 20, 5)):
        logits[c, c] -= 10 * 0.3 * (5 / count) ** 0.25
    expected = F.cross_entropy(logits, true, reduction="none")
    torch.testing.assert_close(
        loss_of("ldam", 10 * COSINES, TARGETS[:3], margin=0.3, model=COSINE), expected
    )


NEEDS = {
    "cross-entropy": {},
    "focal": {},
    "soft-f1": {},
    "cosine": {"head": "unit"},
    "ldam": {"head": "cosine"},
    "arcface": {"head": "cosine"},
    "gaussian": VALUE,
    "cumulative": RANK,
    "soft-cross-entropy": DISTRIBUTION,
    "dldl-v2": DISTRIBUTION,
}


def test_every_loss_of_the_params_is_implemented():
    assert set(LOSSES) == set(tagged(get_args(LossParams)[0])) == set(NEEDS)


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("name", NEEDS)
def test_losses_and_gradients_stay_finite_at_extremes(name, scale):
    outputs = {"gaussian": OUTPUTS[:, :2], "dldl-v2": F.pad(OUTPUTS, (0, 98))}.get(name, OUTPUTS)
    outputs = outputs.mul(scale).clone().requires_grad_()
    targets = {"gaussian": torch.linspace(-2, 2, 6), "dldl-v2": F.pad(TARGETS, (0, 98))}
    targets = targets.get(name, TARGETS)
    value = loss_of(name, outputs, targets, model=NEEDS[name])
    value.sum().backward()
    assert value.shape == (6,)
    assert value.isfinite().all()
    assert outputs.grad.isfinite().all()
