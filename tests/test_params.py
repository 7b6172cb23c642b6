import pytest
import yaml
from synthetic import REPO

from portrait18 import params
from portrait18.errors import UserError


@pytest.fixture
def load(tmp_path, write_params):
    """load({"label.fixes": "sure"}) loads the repository's params.yaml with such changes."""
    return lambda changes=None: params.load(write_params(tmp_path / "params.yaml", changes))


@pytest.fixture
def problems(load):
    """problems(changes) gives the lines of the error that such changes cause."""

    def find(changes) -> list[str]:
        with pytest.raises(UserError) as caught:
            load(changes)
        assert not [line for line in caught.value.problems if "\n" in line]
        return caught.value.problems

    return find


def test_the_repository_s_params_are_sound():
    assert params.load(REPO / "params.yaml").split.by == "person"


def test_every_model_of_the_repository_s_params_is_sound(load):
    names = [name for name in yaml.safe_load((REPO / "params.yaml").read_text())["train"] if name != "common"]
    assert list(load({"matrix.models": names}).models) == names


def test_common_may_hold_what_a_model_that_is_not_asked_for_can_not_have(load, problems):
    asked = {"train.common.head": "cosine", "train.common.size": 64}
    loaded = load({**asked, "matrix.models": ["mask", "gender", "age-class"]})
    assert {m.head for m in loaded.models.values()} == {"cosine"}
    (line,) = problems({**asked, "matrix.models": ["mask", "gender", "age-value"]})
    assert "train.age-value: " in line and "head: cosine" in line


def test_bad_value_in_a_model_that_is_not_asked_for_is_still_named(problems):
    (line,) = problems({"matrix.models": ["mask", "gender", "age-class"], "train.age-value.lr": "fast"})
    assert "train.age-value.lr = 'fast'" in line


@pytest.mark.parametrize(
    ("key", "misspelt", "meant"),
    [
        ("trian", "trian is not a section", "did you mean train?"),
        ("label.old_form", "label.old_form is not a param", "did you mean old_from?"),
        ("check.problem", "check.problem is not a param", "did you mean problems?"),
        ("train.common.epoch", "train.common.epoch is not a param", "did you mean epochs?"),
        ("train.common.sampling.balence", "train.common.sampling.balence is not a param", "did you mean balance?"),
        ("train.mask.bachsize", "train.mask.bachsize is not a param", "did you mean batch_size?"),
        ("train.mask.augment.flipp", "train.mask.augment.flipp is not a param", "did you mean flip?"),
    ],
)
def test_misspelt_param_gets_the_nearest_suggestion(problems, key, misspelt, meant):
    (line,) = problems({key: 1})
    assert misspelt in line and meant in line


def test_unknown_param_lists_the_known_ones(problems):
    (line,) = problems({"split.xyz": 1})
    assert "split.xyz" in line and "did you mean" not in line and "known are folds, by, seed" in line


@pytest.mark.parametrize(("text", "number"), [("1e-05", 1e-5), ("0.001", 0.001), ("2E-3", 2e-3), ("3", 3.0)])
def test_number_that_became_text_is_cast(load, text, number):
    lr = load({"train.age-class.lr": text}).model("age-class").lr
    assert lr == number and isinstance(lr, float)


def test_whole_number_that_became_text_is_cast(load):
    assert load({"train.common.patience": "7"}).model("gender").patience == 7


def test_number_written_by_dvc_as_1e_05_is_cast(tmp_path, write_params):
    path = write_params(tmp_path / "params.yaml")
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 1e-05"))
    assert params.load(path).model("mask").lr == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train.common.weight_decay", "abc", "train.common.weight_decay = 'abc': input should be a valid number"),
        ("train.mask.epochs", "many", "train.mask.epochs = 'many': input should be a valid integer"),
        ("train.mask.sampling.balance", 1.5, "sampling.balance = 1.5: input should be less than or equal to 1"),
        ("split.folds", 0, "split.folds = 0: input should be greater than or equal to 1"),
        ("split.by", "people", "split.by = 'people': input should be 'person' or 'photo'"),
        ("check.problems", "ignore", "check.problems = 'ignore': input should be 'stop' or 'skip'"),
        ("explain.photos", 17, "explain.photos = 17: input should be less than or equal to 16"),
        ("label.drop_ages", 57, "label.drop_ages = 57: input should be a valid list"),
        ("train.common.weight_decay", float("nan"), "train.common.weight_decay = nan"),
        ("train.common.weight_decay", float("inf"), "train.common.weight_decay = inf"),
    ],
)
def test_bad_value_is_named_with_key_value_and_what_is_allowed(problems, key, value, says):
    assert any(says in line for line in problems({key: value}))


def test_missing_param_and_section_are_named(problems):
    (line,) = problems({"split": {"folds": 2, "by": "person"}})
    assert "split.seed is missing" in line
    lines = problems({"crop": None})
    assert any("crop.method is missing" in line for line in lines)


def test_section_of_the_wrong_kind_is_named(problems):
    assert "train.mask = 5" in problems({"train.mask": 5, "matrix.models": ["gender"]})[0]
    assert "label = 5" in problems({"label": 5})[0]


def test_all_problems_are_listed_in_one_run(problems):
    lines = problems({"label.old_form": 1, "split.folds": 0, "train.mask.lr": "abc", "train.mask.epoch": 2})
    for part in ("label.old_form", "split.folds", "train.mask.lr", "train.mask.epoch"):
        assert len([line for line in lines if part in line]) == 1


def test_unknown_model_is_listed_beside_a_problem_in_another_section(problems):
    assert any("moose" in line for line in problems({"split.folds": 0, "matrix.models": ["moose"]}))


def test_every_line_names_the_file(problems):
    assert all("params.yaml: " in line for line in problems({"label.x": 1, "split.folds": 0, "nope": 2}))


def test_model_s_own_section_overrides_common_also_in_nested_sections(load):
    loaded = load({"train.common.patience": 9, "train.mask.patience": 2, "train.mask.augment": {"flip": 0.25}})
    assert (loaded.model("mask").patience, loaded.model("gender").patience) == (2, 9)
    assert loaded.model("mask").augment.flip == 0.25
    assert loaded.model("mask").augment.rotate == loaded.model("gender").augment.rotate


def test_unknown_model_is_named_with_the_nearest(load, problems):
    with pytest.raises(UserError, match="names genders; did you mean gender?"):
        load().model("genders")
    (line,) = problems({"matrix.models": ["genders"]})
    assert "matrix.models names 'genders'" in line and "did you mean gender?" in line


def test_matrix_without_any_model_section_is_refused(problems):
    assert "mask" in problems({"train": {"common": {"lr": 1}}})[0]


def test_model_named_by_a_number_gives_no_traceback(problems):
    problems({"train": {"common": {}, 18: {}}, "matrix.models": ["moose"]})


@pytest.mark.parametrize(("key", "value"), [("models", ["mask", "mask"]), ("folds", [0, 0]), ("seeds", [1, 1])])
def test_matrix_names_each_thing_once(problems, key, value):
    assert "names something twice" in problems({f"matrix.{key}": value})[0]


def test_fold_outside_the_split_is_named(problems):
    (line,) = problems({"split.folds": 3, "matrix.folds": [0, 3]})
    assert "[3] must lie in 0..2" in line


def test_model_that_sees_more_than_is_cropped_is_named(problems):
    (line,) = problems({"train.mask.size": 256})
    assert "train.mask.size = 256 is larger than crop.size = 128" in line


def test_age_borders_must_be_in_order(problems):
    (line,) = problems({"label.young_below": 60})
    assert "label" in line and "young_below (60) must be less than old_from (60)" in line


@pytest.mark.parametrize(
    "changes",
    [{"train.age-value.task": "gender"}, {"train.age-value": {"target": "value", "lr": 0.1, "epochs": 1}}],
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


def test_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(UserError, match="none.yaml is missing; run from the folder"):
        params.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no sections"),
        (b"- 1\n", "holds no sections"),
        (b"a: [1\n", "not valid YAML"),
        (b"a: \xff\n", "params.yaml"),
    ],
    ids=["empty", "list", "syntax", "encoding"],
)
def test_file_that_is_no_params_is_refused_in_one_line(tmp_path, content, says):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_params_cannot_be_changed_after_loading(load):
    with pytest.raises(ValueError, match="frozen"):
        load().split.folds = 5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train.mask.target": "rank"}, "train.mask: target: rank needs task: age, not mask; use target: classes"),
        ({"train.age-value.head": "cosine"}, "train.age-value: head: cosine needs target: classes or heads, not value"),
        (
            {"train.gender.sampling": {"repeat": [1, 1, 3]}},
            "train.gender: sampling.repeat = [1, 1, 3] has 3 numbers, task gender 2 classes; give one for each, or []",
        ),
        ({"train.mask.sampling": {"ratios": [1, 0, 1]}}, "sampling.ratios.1 = 0: input should be greater than 0"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(problems, changes, says):
    assert any(says in line for line in problems(changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"matrix.models": ["mask", "gender"]}, "no model answers age; add one whose task is age or all"),
        (
            {"second.models": ["age-clas"]},
            "second.models names 'age-clas', but there is no train.age-clas; did you mean age-class?",
        ),
        ({"second.models": ["mask", "mask"]}, "names something twice"),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "ensemble.decide": "borders"},
            "ensemble.decide = borders: no model of matrix.models tells years; add one whose target is value or",
        ),
        (
            {"matrix.models": ["mask", "gender", "age-class"], "second.models": ["age-rank"]},
            "second.models names age-rank, whose target rank needs years, and no model of matrix.models tells any",
        ),
    ],
)
def test_models_that_cannot_do_what_is_asked_are_refused_before_any_work(problems, changes, says):
    assert any(says in line for line in problems(changes))


def test_one_network_for_all_tasks_answers_them_all(load):
    assert load({"matrix.models": ["heads"], "second.models": ["all"]}).matrix.models == ["heads"]


@pytest.mark.parametrize("value", [None, 2, " ", ["torchrun"]])
def test_launch_must_be_a_command(problems, value):
    (line,) = problems({"launch": value})
    assert f"launch = {value!r}" in line and "use python" in line
