"""Sections with a name: heads, losses, targets and the like."""

import pytest

SMOOTH = {"label_smoothing": 0.1, "class_weight": 0, "class_weight_from": 0}


def test_a_bare_name_is_short_for_a_section_with_it(load):
    loaded = load({"train.mask.loss": "soft-f1", "train.gender.loss": {"name": "soft-f1"}})
    assert loaded.model("mask").loss == loaded.model("gender").loss


def test_a_variant_with_the_same_or_no_name_is_merged_with_that_of_common(load):
    loaded = load(
        {
            "train.mask.loss": {"label_smoothing": 0.3},
            "train.gender.loss": {"name": "cross-entropy", "class_weight": 0.5},
        }
    )
    mask, gender, age = (loaded.model(name).loss for name in ("mask", "gender", "age-class"))
    assert mask == age.model_copy(update={"label_smoothing": 0.3})
    assert gender == age.model_copy(update={"class_weight": 0.5})


def test_a_variant_with_another_name_replaces_that_of_common(load, problems):
    focal = {**SMOOTH, "name": "focal", "gamma": 1}
    assert load({"train.mask.loss": focal}).model("mask").loss.model_dump() == focal
    lines = problems({"train.mask.loss": {"name": "focal", "gamma": 1}})
    assert len(lines) == 3
    for key, line in zip(SMOOTH, lines, strict=True):
        assert f"train.mask.loss.{key} is missing; a usual value is " in line


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train.mask.loss": {"gamma": 2}},
            "train.mask.loss.gamma = 2 has no effect with loss cross-entropy; remove it, or set"
            " loss.name to focal",
        ),
        (
            {"train.common.mix": {"name": "none", "alpha": 1}},
            "train.common.mix.alpha = 1 has no effect with mix none; remove it, or set mix.name to"
            " mixup or cutmix",
        ),
        (
            {"train.common.schedule": {"name": "cosine", "factor": 0.5}},
            "train.common.schedule.factor = 0.5 has no effect with schedule cosine",
        ),
        (
            {"train.mask.loss": {"label_smothing": 0.3}},
            "train.mask.loss.label_smothing is unknown; did you mean label_smoothing?",
        ),
        (
            {"train.common.loss": "crossentropy"},
            "train.common.loss = 'crossentropy' is unknown; did you mean cross-entropy?",
        ),
        (
            {"train.common.mix": {"name": "cutmix", "partner": "any", "probability": 1}},
            "train.common.mix.alpha is missing; a usual value is 0.4",
        ),
        (
            {"train.common.mix": {"alpha": 1}},
            "train.common.mix.name is missing; use one of none, mixup, cutmix, halves",
        ),
        (
            {"train.common.head": 5},
            "train.common.head = 5: must be one of linear, cosine, unit, mlp, kernel, ridge,"
            " linear-ridge, or a",
        ),
        (
            {"train.mask.target": {"name": "distribution", "sigma": "wide"}},
            "train.mask.target.sigma = 'wide': input should be a valid number",
        ),
    ],
)
def test_a_wrong_key_or_name_of_a_variant_is_named(problems, changes, expected):
    (line,) = problems(changes)
    assert expected in line
