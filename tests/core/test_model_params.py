import pytest
import yaml
from synthetic import REPO

from portrait18.core import params
from portrait18.core.errors import UserError


def test_every_model_of_the_repository_s_params_is_sound(load):
    names = [
        name
        for name in yaml.safe_load((REPO / "params.yaml").read_text())["train"]
        if name != "common"
    ]
    assert list(load({"matrix.models": names}).models) == names


def test_common_may_hold_what_a_model_that_is_not_asked_for_can_not_have(load, problems):
    asked = {"train.common.head": "cosine", "train.common.image_size": 64}
    loaded = load({**asked, "matrix.models": ["mask", "gender", "age-class"]})
    assert {m.head for m in loaded.models.values()} == {"cosine"}
    (line,) = problems({**asked, "matrix.models": ["mask", "gender", "age-value"]})
    assert "train.age-value: " in line
    assert "head: cosine" in line


def test_bad_value_in_a_model_that_is_not_asked_for_is_still_named(problems):
    (line,) = problems(
        {"matrix.models": ["mask", "gender", "age-class"], "train.age-value.lr": "fast"}
    )
    assert "train.age-value.lr = 'fast'" in line


def test_model_s_own_section_overrides_common_also_in_nested_sections(load):
    loaded = load(
        {"train.common.patience": 9, "train.mask.patience": 2, "train.mask.augment": {"flip": 0.25}}
    )
    assert (loaded.model("mask").patience, loaded.model("gender").patience) == (2, 9)
    assert loaded.model("mask").augment.flip == 0.25
    assert loaded.model("mask").augment.rotate == loaded.model("gender").augment.rotate


def test_unknown_model_is_named_with_the_nearest(load, problems):
    with pytest.raises(UserError, match="names genders; did you mean gender?"):
        load().model("genders")
    (line,) = problems({"matrix.models": ["genders"]})
    assert "matrix.models names 'genders'" in line
    assert "did you mean gender?" in line


def test_matrix_without_any_model_section_is_refused(problems):
    assert "mask" in problems({"train": {"common": {"lr": 1}}})[0]


def test_model_named_by_a_number_gives_no_traceback(problems):
    problems({"train": {"common": {}, 18: {}}, "matrix.models": ["moose"]})


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
            {"train.age-value.head": "cosine"},
            "train.age-value: head: cosine needs target: classes or heads, not value",
        ),
        (
            {"train.gender.sampling": {"repeat": [1, 1, 3]}},
            "train.gender: sampling.repeat = [1, 1, 3] has 3 numbers, task gender 2 classes; give one for each, or []",
        ),
        (
            {"train.mask.sampling": {"ratios": [1, 0, 1]}},
            "sampling.ratios.1 = 0: input should be greater than 0",
        ),
        (
            {"train.age-class.backbone": "resnet50"},
            "train.age-class: weights = bundled: there are none for 'resnet50'; use tf_efficientnet_lite0, or weights: hub",
        ),
        (
            {
                "train.gender.weights": "bundled+none+none",
                "train.gender.backbone": "tf_efficientnet_lite0+resnet18",
            },
            "train.gender: weights = 'bundled+none+none' names 3 sources for 2 backbones",
        ),
        (
            {"train.mask.weights": "mine.pt"},
            "train.mask: weights = 'mine.pt': only .safetensors files are read (a pickle can run code)",
        ),
        (
            {"train.mask.weights": "mine.safetensors"},
            "write mine.safetensors@ and behind it the first digits",
        ),
        (
            {"train.mask.weights": "mine.safetensors@12"},
            "write mine.safetensors@ and behind it the first digits",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(problems, changes, says):
    assert any(says in line for line in problems(changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"matrix.models": ["mask", "gender"]},
            "no model answers age; add one whose task is age or all",
        ),
        (
            {"pseudo_label.models": ["age-clas"]},
            "pseudo_label.models names 'age-clas', but there is no train.age-clas; did you mean age-class?",
        ),
        ({"pseudo_label.models": ["mask", "mask"]}, "names something twice"),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "ensemble.decision": "thresholds"},
            "ensemble.decision = thresholds: no model of matrix.models tells years; add one whose target is value or",
        ),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "pseudo_label.models": ["age-rank"]},
            "pseudo_label.models names age-rank, whose target rank needs years, and no model of matrix.models tells any",
        ),
    ],
)
def test_models_that_cannot_do_what_is_asked_are_refused_before_any_work(problems, changes, says):
    assert any(says in line for line in problems(changes))


def test_one_network_for_all_tasks_answers_them_all(load):
    assert load({"matrix.models": ["heads"], "pseudo_label.models": ["all"]}).matrix.models == [
        "heads"
    ]
