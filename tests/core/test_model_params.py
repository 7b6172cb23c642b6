import pytest
import yaml
from synthetic import REPO

from portrait18.core import params
from portrait18.core.errors import UserError

SMOOTH = {"label_smoothing": 0.1, "class_weight": 0, "class_weight_from": 0}


def test_every_model_of_the_repository_is_valid(load):
    raw = yaml.safe_load((REPO / "params.yaml").read_text())
    frozen = raw["matrix"]["frozen"]
    names = [name for name in raw["train"] if name != "common" and name not in frozen]
    both = {"matrix.models": names, "matrix.frozen": frozen, "features": raw["features"]}
    loaded = load({**both, "crop.image_size": raw["crop"]["image_size"]})
    assert list(loaded.train) == [*names, *frozen]


def test_common_need_not_suit_models_that_are_not_used(load, problems):
    asked = {
        "train.common.head": {"name": "cosine", "scale": 8},
        "train.common.image_size": 64,
    }
    loaded = load({**asked, "matrix.models": ["mask", "gender", "age-class"]})
    assert {m.head.name for m in loaded.train.values()} == {"cosine"}
    (line,) = problems({**asked, "matrix.models": ["mask", "gender", "age-value"]})
    assert "train.age-value: " in line
    assert "head: cosine" in line


def test_bad_value_in_a_model_that_is_not_used_is_still_named(problems):
    (line,) = problems(
        {"matrix.models": ["mask", "gender", "age-class"], "train.age-value.lr": "fast"}
    )
    assert "train.age-value.lr = 'fast'" in line


def test_own_section_overrides_common_also_in_nested_sections(load):
    loaded = load(
        {"train.common.patience": 9, "train.mask.patience": 2, "train.mask.augment": {"flip": 0.25}}
    )
    assert (loaded.model("mask").patience, loaded.model("gender").patience) == (2, 9)
    assert loaded.model("mask").augment.flip == 0.25
    assert loaded.model("mask").augment.rotate == loaded.model("gender").augment.rotate


def test_unknown_model_is_named_with_the_nearest(load, problems):
    with pytest.raises(UserError, match=r"names genders; did you mean gender\?"):
        load().model("genders")
    (line,) = problems({"matrix.models": ["genders"]})
    assert "matrix.models names 'genders'" in line
    assert "did you mean gender?" in line


def test_matrix_without_any_model_section_is_refused(problems):
    assert "mask" in problems({"train": {"common": {"lr": 1}}})[0]


def test_model_named_by_a_number_gives_no_traceback(problems):
    problems({"train": {"common": {}, 18: {}}, "matrix.models": ["moose"]})


def test_model_named_like_the_second_round_of_another_is_refused(problems):
    # Both would write models/trained/mask-round2.
    twin = {"task": "mask", "target": "classes", "lr": 0.1, "epochs": 1}
    (line,) = problems({"train.mask-round2": twin, "pseudo_label.models": ["mask"]})
    assert "train.mask-round2: files of a model's round 2" in line
    assert line.endswith("rename the model")


@pytest.mark.parametrize(
    "changes",
    [
        {"train.age-value.task": "gender"},
        {"train.age-value": {"target": "value", "lr": 0.1, "epochs": 1}},
    ],
    ids=["value for gender", "no task"],
)
def test_error_that_concerns_one_model_names_it(problems, changes):
    (line,) = problems(changes)
    assert "train.age-value" in line


@pytest.mark.parametrize("amp", ["auto", "bf16", "float32"])
def test_documented_values_of_amp_can_be_written_without_quotes(tmp_path, write_params, amp):
    path = write_params(tmp_path / "params.yaml")
    path.write_text(path.read_text().replace("amp: auto", f"amp: {amp}"))
    assert params.load(path).model("mask").amp == amp


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"train.mask.target": "rank"},
            "train.mask: target: rank needs task: age, not mask; use target: classes",
        ),
        (
            {"train.age-value.head": {"name": "cosine", "scale": 8}},
            "train.age-value: head: cosine needs target: classes or heads or bins, not value",
        ),
        (
            {"train.age-value.loss": "soft-f1"},
            "train.age-value: loss: soft-f1 does not go with target: value; use loss: gaussian",
        ),
        (
            {"train.mask.loss": "gaussian"},
            "gaussian does not go with target: classes; use loss: cross-entropy | focal | soft",
        ),
        (
            {
                "matrix.models": ["mask", "gender", "age-distribution"],
                "train.age-distribution.loss": {**SMOOTH, "name": "cross-entropy"},
            },
            "target: distribution; use loss: soft-cross-entropy",
        ),
        (
            {
                "train.mask.head": {"name": "cosine", "scale": 8},
                "train.mask.loss": {**SMOOTH, "name": "cosine", "weight": 1},
            },
            "train.mask: loss: cosine needs head: unit, not cosine",
        ),
        (
            {"train.gender.sampling": {"repeat": [1, 1, 3]}},
            "sampling.repeat = [1, 1, 3] has 3 numbers, but task gender has 2 classes; give one",
        ),
        (
            {"train.mask.sampling": {"ratios": [1, 0, 1]}},
            "sampling.ratios.1 = 0: input should be greater than 0",
        ),
        (
            {"train.age-class.backbone": "resnet50"},
            "train.age-class: weights = bundled: no package contains weights of 'resnet50'; use",
        ),
        (
            {
                "train.gender.weights": "bundled+none+none",
                "train.gender.backbone": "tf_efficientnet_lite0+resnet18",
            },
            "train.gender: weights = 'bundled+none+none' names 3 sources for 2 backbones",
        ),
        (
            {"train.gender.people": "female"},
            "train.gender: people: female needs task: age, not gender; use people: all, or task",
        ),
        (
            {"train.mask.weights": "mine.pt"},
            "train.mask: weights = 'mine.pt': only .safetensors files are read",
        ),
        (
            {"train.mask.weights": "mine.safetensors"},
            "write mine.safetensors@ and then the first 8 or more digits",
        ),
        (
            {"train.mask.weights": "mine.safetensors@12"},
            "write mine.safetensors@ and then the first 8 or more digits",
        ),
    ],
)
def test_contradicting_params_of_a_model_are_rejected(problems, changes, says):
    assert any(says in line for line in problems(changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"matrix.models": ["mask", "gender"]},
            "no model predicts age; add one whose task is age or all",
        ),
        (
            {"pseudo_label.models": ["age-clas"]},
            "names 'age-clas', but there is no train.age-clas; did you mean age-class?",
        ),
        ({"pseudo_label.models": ["mask", "mask"]}, "contains duplicates"),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "ensemble.decision": "thresholds"},
            "no model of matrix.models or matrix.frozen predicts years; add one whose target is",
        ),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "pseudo_label.models": ["age-rank"]},
            "names age-rank, whose target rank needs years, but no model of matrix.models or",
        ),
        (
            {"train.age-class.people": "female"},
            "matrix.models and matrix.frozen: 1 models with people: female (age-class), 0 with"
            " people: male (none); name as many of each",
        ),
        (
            {
                "train.age-class.people": "female",
                "train.age-value.people": "male",
                "pseudo_label.models": ["age-value"],
            },
            "pseudo_label.models: 0 models with people: female (none), 1 with people: male",
        ),
        (
            {"train.age-class.people": "female", "train.age-value.people": "male"},
            "train.age-class.target = classes: its partner age-value has target value; both or",
        ),
    ],
)
def test_models_that_do_not_suit_other_sections_are_rejected(problems, changes, says):
    assert any(says in line for line in problems(changes))


def test_one_network_for_all_tasks_covers_every_task(load):
    assert load({"matrix.models": ["heads"], "pseudo_label.models": ["all"]}).matrix.models == [
        "heads"
    ]
