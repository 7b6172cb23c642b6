"""What a run takes from the command line and from DVC."""

from pathlib import Path

import pytest

from portrait18.core.errors import UserError
from portrait18.core.files import write_json
from recipes import experiment, ledger, results, table


def test_the_command_writes_the_page_and_refuses_an_unknown_recipe_in_one_line(
    recipe, tmp_path, capsys
):
    for name in ("other", "base"):
        recipe(name, {"x": 1})
    results.append(
        results.RecipeResult("base", "0", "", "e", "abc", "", 1.0, "2026-01-01T00:00:00Z")
    )
    ledger.main(["table"])
    assert (tmp_path / "reports/ledger.md").read_text() == table.render(results.read())
    with pytest.raises(SystemExit) as ended:
        ledger.main(["run", "bas"])
    error = capsys.readouterr().err
    assert ended.value.code == 1
    assert error.count("\n") == 1
    assert "did you mean base? known are base, other" in error


def test_assignments_are_yaml():
    texts = ["train.mask.lr=0.001", "data.root=data/my photos", "a.b=[x, 1]", "a.c={name: f}", "d="]
    assert experiment.parse_assignments(texts) == {
        "train": {"mask": {"lr": 0.001}},
        "data": {"root": "data/my photos"},
        "a": {"b": ["x", 1], "c": {"name": "f"}},
        "d": None,
    }


def test_all_bad_assignments_are_listed_together():
    with pytest.raises(UserError) as caught:
        experiment.parse_assignments(["x", "a=1", "a=2", "~data.root=1"])
    parts = ("x: must be KEY=VALUE", "a is set twice", "~data.root is not a param's name")
    for line, part in zip(caught.value.problems, parts, strict=True):
        assert part in line
    with pytest.raises(UserError, match=r"--set a=\[b: the value is not valid YAML"):
        experiment.parse_assignments(["a=[b"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("data.root=null", "--set: data.root is null, but no base sets it; write a value"),
        ("data.root=[a]", "data.root = ['a'] must be the path of a folder"),
        ("data=3", "data.root = None must be the path of a folder"),
        ("matrix.seeds=3", "matrix.seeds = 3 must be a list, e.g. [0]"),
    ],
)
def test_a_value_that_cannot_be_run_gives_one_line(
    recipe, monkeypatch, capsys, assignment, message
):
    recipe("base", {"x": 1})
    with open("params.yaml", "w") as file:
        file.write("data: {root: a, extra: b}\nmatrix: {seeds: [0]}\n")
    monkeypatch.setattr(experiment.repository, "prepare", lambda: None)
    monkeypatch.setattr(experiment.layout, "validate_layout", lambda root, extra: None)
    with pytest.raises(SystemExit) as ended:
        ledger.main(["run", "base", "--set", assignment])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_metrics_come_from_the_reports_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("data: {root: data/x}\n")
    reports = {
        "metrics": {"macro_f1": 0.1, "people": 7, "age": {"macro_f1": 0.2}},
        "score": {"macro_f1": 0.3, "mask": {"macro_f1": 0.8, "accuracy": 0.9}},
        "check": {"train": {"people": 36}, "eval": {"photos": 84}},
    }
    for name, report in reports.items():
        write_json(report, Path(f"reports/{name}.json"))
    assert experiment.read_metrics() == {
        "data": "data/x",
        "people": 36,
        "validation_people": 7,
        "eval_photos": 84,
        "validation_macro_f1": 0.1,
        "validation_age_macro_f1": 0.2,
        "eval_macro_f1": 0.3,
        "eval_mask_accuracy": 0.9,
        "eval_gender_accuracy": None,
        "eval_age_macro_f1": None,
    }
    write_json({}, Path("reports/score.json"))
    assert experiment.read_metrics()["eval_macro_f1"] is None
