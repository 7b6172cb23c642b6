from math import log

import pytest
import torch
from tiny import model_params
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.models import losses, targets

VALUE = {"task": "age", "target": "value"}
OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
TOLD = F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()


COUNTS = torch.tensor([100.0, 20.0, 5.0])


def value_of(name, outputs, told, counts=COUNTS, progress=0.0, **changes):
    params = model_params(loss=name, **changes)
    return losses.make(params, targets.make(params))(
        outputs, told, losses.Context(counts, progress)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_is_torchs(smoothing):
    expected = F.cross_entropy(OUTPUTS, TOLD.argmax(1), label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(
        value_of("cross-entropy", OUTPUTS, TOLD, label_smoothing=smoothing), expected
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_focal_with_gamma_zero_is_cross_entropy(smoothing):
    focal, plain = (
        value_of(n, OUTPUTS, TOLD, focal_gamma=0, label_smoothing=smoothing)
        for n in ("focal", "cross-entropy")
    )
    torch.testing.assert_close(focal, plain)


def test_focal_by_hand():
    outputs = torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]]).log()
    told = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    expected = [-(0.5**2) * log(0.5), -0.5 * (0.1**2 * log(0.9) + 0.95**2 * log(0.05))]
    torch.testing.assert_close(
        value_of("focal", outputs, told, focal_gamma=2.0), torch.tensor(expected)
    )


def test_focal_counts_easy_photos_less():
    easy, hard = torch.tensor([[5.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    outputs, told = torch.cat([easy, hard]), TOLD[[0, 0]]
    share = value_of("focal", outputs, told, focal_gamma=2.0) / value_of(
        "cross-entropy", outputs, told
    )
    assert share[0] < 0.001
    assert share[1] > 0.4


HEADS = {"task": "all", "target": "heads", "label_smoothing": 0.1, "class_weight": 0.5}


@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
def test_the_losses_of_heads_are_summed_each_with_its_own_classes(name):
    parts = OUTPUTS, OUTPUTS[:, :2].flip(0), OUTPUTS.flip(1)
    told, counts = (TOLD, TOLD[:, 1:], TOLD.flip(0)), (COUNTS, COUNTS[1:], COUNTS.flip(0))
    expected = sum(
        value_of(name, *part, label_smoothing=0.1, class_weight=0.5)
        for part in zip(parts, told, counts, strict=True)
    )
    together = value_of(name, torch.cat(parts, 1), torch.cat(told, 1), torch.cat(counts), **HEADS)
    torch.testing.assert_close(together, expected)


def test_class_weights_grow_with_rarity_and_keep_the_mean():
    plain = value_of("cross-entropy", OUTPUTS, TOLD)
    weight = (value_of("cross-entropy", OUTPUTS, TOLD, class_weight=1.0) / plain)[:3]
    torch.testing.assert_close(weight * COUNTS, torch.full((3,), (weight * COUNTS)[0].item()))
    assert (weight * COUNTS).sum() == pytest.approx(COUNTS.sum().item())
    root = (value_of("cross-entropy", OUTPUTS, TOLD, class_weight=0.5) / plain)[:3]
    assert root[2] / root[0] == pytest.approx(20**0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("progress", "weighted"), [(0.0, False), (0.59, False), (0.6, True), (0.9, True)]
)
def test_class_weights_may_begin_late(progress, weighted):
    late = value_of(
        "cross-entropy", OUTPUTS, TOLD, progress=progress, class_weight=1.0, class_weight_from=0.6
    )
    power = 1.0 if weighted else 0.0
    torch.testing.assert_close(late, value_of("cross-entropy", OUTPUTS, TOLD, class_weight=power))


def test_soft_f1_of_sure_answers_is_one_minus_macro_f1():
    decided = torch.tensor([0, 1, 1, 0, 2, 2])
    value = value_of("soft-f1", 100 * F.one_hot(decided, 3).float(), TOLD)
    f1 = [
        1.0,
        0.5,
        0.5,
    ]  # class 0: 2 of 2; class 1: one right, one wrong, one missed; class 2 likewise
    torch.testing.assert_close(value, torch.full((6,), 1 - sum(f1) / 3))


def test_soft_f1_judges_the_batch_so_nothing_is_smoothed_and_class_weights_are_refused():
    plain = value_of("soft-f1", OUTPUTS, TOLD)
    assert (value_of("soft-f1", OUTPUTS, TOLD, label_smoothing=0.3) == plain).all()
    with pytest.raises(
        UserError,
        match=r"class_weight = 1.0 has no effect with loss soft-f1 and target classes; set it",
    ):
        value_of("soft-f1", OUTPUTS, TOLD, class_weight=1.0)
    with pytest.raises(UserError, match="no effect with loss gaussian and target value"):
        value_of("gaussian", OUTPUTS, TOLD, class_weight=1.0, **VALUE)


def test_soft_f1_leaves_out_classes_that_the_batch_has_not():
    decided = torch.tensor([0, 1, 1])
    value = value_of("soft-f1", 100 * F.one_hot(decided, 3).float(), TOLD[[0, 1, 1]])
    assert value.max() < 1e-5


UNIT = 16 * F.normalize(OUTPUTS, dim=1)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_cosine_is_the_distance_to_the_label_plus_cross_entropy(weight):
    distance = F.cosine_embedding_loss(UNIT, TOLD, torch.ones(6), reduction="none")
    expected = weight * distance + F.cross_entropy(UNIT, TOLD, reduction="none")
    torch.testing.assert_close(
        value_of("cosine", UNIT, TOLD, head="unit", cosine_weight=weight), expected
    )


def test_cosines_floor_lies_low_thanks_to_the_scale():
    assert value_of("cosine", 16 * TOLD, TOLD, head="unit").max() < 1e-5
    assert value_of("cosine", TOLD, TOLD, head="unit").min() == pytest.approx(
        0.551, abs=1e-3
    )  # what it would be at 1


COSINES = torch.tensor([[0.8, 0.1, -0.5], [-0.3, 0.6, 0.2], [0.1, -0.2, -0.95]])
MARGIN = {"head": "cosine", "scale": 10.0}


@pytest.mark.parametrize("name", ["ldam", "arcface"])
def test_without_a_margin_they_are_cross_entropy_of_the_scaled_cosines(name):
    told = torch.tensor([[1.0, 0, 0], [0, 0.7, 0.3], [0, 0, 1]])
    value = value_of(name, 10 * COSINES, told, margin=0.0, **MARGIN)
    torch.testing.assert_close(
        value, F.cross_entropy(10 * COSINES, told, reduction="none"), rtol=1e-4, atol=1e-4
    )


def test_arcface_adds_the_margin_to_the_angle_of_the_true_class():
    logits, true = 10 * COSINES.clone(), torch.arange(3)
    logits[0, 0] = 10 * torch.tensor(0.8).acos().add(0.5).cos()
    logits[1, 1] = 10 * torch.tensor(0.6).acos().add(0.5).cos()
    logits[2, 2] = 10 * (-0.95 - 0.5 * torch.tensor(0.5).sin())  # the angle would pass pi
    expected = F.cross_entropy(logits, true, reduction="none")
    torch.testing.assert_close(
        value_of("arcface", 10 * COSINES, TOLD[:3], margin=0.5, **MARGIN), expected
    )


def test_ldams_margins_go_with_the_fourth_root_of_rarity():
    logits, true = 10 * COSINES.clone(), torch.arange(3)
    for c, count in enumerate((100, 20, 5)):
        logits[c, c] -= 10 * 0.3 * (5 / count) ** 0.25
    expected = F.cross_entropy(logits, true, reduction="none")
    torch.testing.assert_close(
        value_of("ldam", 10 * COSINES, TOLD[:3], margin=0.3, **MARGIN), expected
    )


def test_cumulative_is_the_mean_over_the_years_of_binary_cross_entropy():
    outputs, told = torch.randn(4, 100), (torch.rand(4, 100) > 0.5).float()
    p = outputs.sigmoid()
    expected = -(told * p.log() + (1 - told) * (1 - p).log()).mean(1)
    value = value_of("cumulative", outputs, told, task="age", target="rank")
    torch.testing.assert_close(value, expected)


def test_gaussian_is_the_likelihood_times_the_deviation():
    outputs, told = (
        torch.tensor([[0.5, -1.0], [-1.0, 0.3], [2.0, 2.5]]),
        torch.tensor([0.0, -1.0, 1.0]),
    )
    variance = outputs[:, 1].exp()
    likelihood = F.gaussian_nll_loss(outputs[:, 0], told, variance, reduction="none")
    torch.testing.assert_close(
        value_of("gaussian", outputs, told, **VALUE), likelihood * variance.sqrt()
    )


def test_gaussians_gradient_for_the_mean_is_the_error_over_the_deviation():
    outputs = torch.tensor([[0.5, -1.0], [2.0, 1.0]], requires_grad=True)
    told = torch.tensor([0.0, 0.5])
    value_of("gaussian", outputs, told, **VALUE).sum().backward()
    mean, log_variance = outputs.detach().T
    torch.testing.assert_close(outputs.grad[:, 0], (mean - told) / (log_variance / 2).exp())


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_and_gradients_stay_finite_at_extremes(name, scale):
    entry = losses.LOSSES[name]
    more = {"value": VALUE, "rank": {"task": "age", "target": "rank"}}.get(entry.targets[0], {})
    more = more | ({"head": entry.head} if entry.head else {})
    outputs = (
        (OUTPUTS[:, :2] if name == "gaussian" else OUTPUTS).mul(scale).clone().requires_grad_()
    )
    told = torch.linspace(-2, 2, 6) if name == "gaussian" else TOLD
    value = value_of(name, outputs, told, **more)
    value.sum().backward()
    assert value.shape == (6,)
    assert value.isfinite().all()
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("gaussian", {}, r"'gaussian' does not go with target classes; use cross-entropy \| focal"),
        ("ldam", {}, "loss ldam needs head: cosine, not linear$"),
        ("cosine", {"head": "cosine"}, "loss cosine needs head: unit, not cosine$"),
        ("focal", {"task": "age", "target": "rank"}, "target rank; use cumulative$"),
        (
            "focal",
            {"task": "age", "target": "distribution"},
            "target distribution; use cross-entropy$",
        ),
        ("focal", VALUE, "'focal' does not go with target value; use gaussian$"),
        (
            "gaussian",
            {"task": "all", "target": "heads"},
            r"target heads; use cross-entropy \| focal",
        ),
        ("hinge", {}, "'hinge' .* use cross-entropy"),
    ],
)
def test_a_loss_of_another_target_is_refused_with_those_that_fit(name, target, allowed):
    with pytest.raises(UserError, match=allowed):
        value_of(name, OUTPUTS, TOLD, **target)
