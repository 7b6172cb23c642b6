import pytest
from synthetic import REPO

from portrait18.core import params
from portrait18.core.errors import UserError


def test_the_params_of_the_repository_are_valid():
    assert params.load(REPO / "params.yaml").split.by == "person"


@pytest.mark.parametrize(
    ("text", "number"), [("1e-05", 1e-5), ("0.001", 0.001), ("2E-3", 2e-3), ("3", 3.0)]
)
def test_a_number_written_as_text_is_cast(load, text, number):
    lr = load({"train.age-class.lr": text}).model("age-class").lr
    assert lr == number
    assert isinstance(lr, float)


def test_an_integer_written_as_text_is_cast(load):
    assert load({"train.common.patience": "7"}).model("gender").patience == 7


def test_a_number_that_dvc_writes_as_1e_05_is_cast(tmp_path, write_params):
    path = write_params(tmp_path / "params.yaml")
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 1e-05"))
    assert params.load(path).model("mask").lr == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "train.common.weight_decay",
            "abc",
            "train.common.weight_decay = 'abc': input should be a valid number",
        ),
        (
            "train.mask.epochs",
            "many",
            "train.mask.epochs = 'many': input should be a valid integer",
        ),
        (
            "train.mask.sampling.balance",
            1.5,
            "sampling.balance = 1.5: input should be less than or equal to 1",
        ),
        ("split.folds", 0, "split.folds = 0: input should be greater than or equal to 1"),
        ("split.by", "people", "split.by = 'people': input should be 'person' or 'photo'"),
        ("check.problems", "ignore", "check.problems = 'ignore': input should be 'stop' or 'skip'"),
        ("explain.photos", 17, "explain.photos = 17: input should be less than or equal to 16"),
        ("label.drop_ages", 57, "label.drop_ages = 57: must be a list, such as [57]"),
        ("crop.align", True, "crop.align = True: is no longer a boolean; write eyes for true"),
        ("crop.align", False, "none for false, or five_points"),
        (
            "crop.align",
            "eye",
            "crop.align = 'eye': input should be 'none', 'eyes' or 'five_points'",
        ),
        ("train.common.weight_decay", float("nan"), "train.common.weight_decay = nan"),
        ("train.common.weight_decay", float("inf"), "train.common.weight_decay = inf"),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_what_is_allowed(problems, key, value, says):
    assert any(says in line for line in problems({key: value}))


def test_section_of_the_wrong_kind_is_named(problems):
    assert "train.mask = 5" in problems({"train.mask": 5, "matrix.models": ["gender"]})[0]
    assert "label = 5: must be a section" in problems({"label": 5})[0]


def test_all_problems_are_listed_in_one_run(problems):
    lines = problems(
        {"label.old_form": 1, "split.folds": 0, "train.mask.lr": "abc", "train.mask.epoch": 2}
    )
    for part in ("label.old_form", "split.folds", "train.mask.lr", "train.mask.epoch"):
        assert len([line for line in lines if part in line]) == 1


def test_an_unknown_model_is_listed_together_with_other_problems(problems):
    assert any("moose" in line for line in problems({"split.folds": 0, "matrix.models": ["moose"]}))


def test_every_line_names_the_file(problems):
    assert all(
        "params.yaml: " in line for line in problems({"label.x": 1, "split.folds": 0, "nope": 2})
    )


@pytest.mark.parametrize(
    ("key", "value"), [("models", ["mask", "mask"]), ("folds", [0, 0]), ("seeds", [1, 1])]
)
def test_duplicates_in_matrix_are_rejected(problems, key, value):
    assert "contains duplicates" in problems({f"matrix.{key}": value})[0]


def test_fold_outside_the_split_is_named(problems):
    (line,) = problems({"split.folds": 3, "matrix.folds": [0, 3]})
    assert "[3] must lie in 0..2" in line


def test_a_model_with_images_larger_than_the_crops_is_named(problems):
    (line,) = problems({"train.mask.image_size": 256})
    assert "train.mask.image_size = 256 is larger than crop.image_size = 128" in line


def test_age_boundaries_must_be_in_order(problems):
    (line,) = problems({"label.young_below": 60})
    assert "label" in line
    assert "young_below (60) must be less than old_from (60)" in line


def test_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml is missing; run from the folder"):
        params.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no sections"),
        (b"- 1\n", "has no sections"),
        (b"a: [1\n", "not valid YAML"),
        (b"a: \xff\n", "params.yaml"),
    ],
    ids=["empty", "list", "syntax", "encoding"],
)
def test_a_file_without_params_is_rejected_in_one_line(tmp_path, content, says):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_params_cannot_be_changed_after_loading(load):
    with pytest.raises(ValueError, match="frozen"):
        load().split.folds = 5


@pytest.mark.parametrize("value", [None, 2, " ", ["torchrun"]])
def test_launch_must_be_a_command(problems, value):
    (line,) = problems({"launch": value})
    assert f"launch = {value!r}" in line
    assert "use python" in line


@pytest.mark.parametrize("key", ["root", "extra"])
def test_an_empty_folder_is_refused(problems, key):
    # dvc.yaml would read it as /train, the stages as ./train.
    (line,) = problems({f"data.{key}": ""})
    assert line.endswith(f"data.{key} = '': must be the path of a folder, such as data/demo")


def test_grouping_by_a_column_needs_its_name(load, problems):
    (line,) = problems({"group.by": "column"})
    assert "group.column = ''; name the column of info.csv" in line
    assert load({"group.by": "column", "group.column": "person"}).group.column == "person"
