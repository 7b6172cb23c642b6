"""Numbers in the documents agree with each other and with the files they come from."""

import re
from statistics import mean

import pandas as pd
import pytest
import yaml
from synthetic import REPO

from benchmarks import report, run
from recipes import results, rows, table

README = (REPO / "README.md").read_text()
CARD, SHEET, PERFORMANCE, EXPERIMENTS = (
    (REPO / "docs" / name).read_text()
    for name in ("model_card.md", "demo_data_sheet.md", "performance.md", "experiments.md")
)


def result_rows(text: str) -> dict[str, list[str]]:
    """Return macro-F1 and accuracy by row of a table of results."""
    rows = re.findall(r"^\| ([^|]+) \| \**(\d\.\d+)\** \| (\d\.\d+) \|$", text, re.MULTILINE)
    return {name.removesuffix(", evaluation set"): scores for name, *scores in rows}


def test_model_card_and_readme_have_the_same_scores():
    card, readme = result_rows(CARD), result_rows(README)
    assert len(card) == 5
    assert card.items() <= readme.items()


def test_group_sizes_of_the_model_card_sum_to_the_validation_set():
    rows = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", CARD, re.MULTILINE
    )
    groups = pd.DataFrame(rows, columns=["group", "photos", "mask", "gender", "age", "all"])
    groups = groups.assign(photos=groups.photos.str.replace(",", "")).astype(
        dict.fromkeys(groups.columns[1:], float)
    )
    parts = [groups[:2], groups[2:10], groups[10:]]
    assert [part.photos.sum() for part in parts] == [1199 * 7] * 3
    means = [
        [(part[c] * part.photos).sum() / part.photos.sum() for c in groups.columns[2:]]
        for part in parts
    ]
    assert means[0] == pytest.approx(means[1], abs=1e-3)
    assert means[0] == pytest.approx(means[2], abs=1e-3)
    accuracy = result_rows(README)["18 classes, 1,199 validation people"][1]
    assert float(accuracy) == pytest.approx(means[0][3], abs=1e-3)


def test_the_data_sheet_describes_the_demo_photos():
    demo = REPO / "data/demo"
    people = pd.read_csv(demo / "train/train.csv")
    answers = pd.read_csv(demo / "eval/answers.csv")
    sheet = " ".join(SHEET.split())
    assert f"`train/` has {len(people)} people, `eval/` has {len(answers) // 7} others" in sheet
    assert f"{len(people) * 7 + len(answers)} JPEG photos" in sheet
    palettes = ", ".join(f"{k} {n}" for k, n in people.race.value_counts().items())
    assert f"By palette, in the training set: {palettes}" in sheet
    groups = people.groupby(["gender", pd.cut(people.age, [0, 29, 59, 99])], observed=True)
    assert set(groups.size()) == {6}
    assert len(list(demo.rglob("*.jpg"))) == 336


def test_the_ledger_is_current(monkeypatch):
    monkeypatch.chdir(REPO)
    assert table.FILE.read_text() == table.render(results.read()), "run make ledger"


@pytest.fixture
def ledger(monkeypatch) -> dict[str, rows.Row]:
    """Rows of the ledger by recipe."""
    monkeypatch.chdir(REPO)
    return {row.recipe: row for row in rows.rows(results.read())}


def test_scores_of_recipes_in_the_readme_are_those_of_the_ledger(ledger):
    text = " ".join(README.split())
    scores = ledger["bench-cpu-quick"].values("eval_macro_f1").values()
    assert f"Three seeds reach {min(scores):.3f} to {max(scores):.3f}." in text
    (score,) = ledger["bench-finetuned"].values("eval_macro_f1").values()
    minutes = ledger["bench-finetuned"].minutes
    assert f"(`bench-finetuned`) reach {score:.3f} in {minutes:.0f} minutes." in text


def test_the_number_of_outputs_is_that_of_dvc_lock():
    stages = yaml.safe_load((REPO / "dvc.lock").read_text())["stages"].values()
    outputs = {out["path"] for stage in stages for out in stage.get("outs", [])}
    page = (REPO / "docs/reproducibility.md").read_text()
    assert f"all {len(outputs)} outputs are identical" in page


def test_the_first_screen_of_the_readme_repeats_its_results():
    score, minutes = re.findall(r"macro-F1 (\S+) over|after (\d+) minutes", README)
    assert score[0] == f"{float(result_rows(README)['18 classes'][0]):.2f}"
    (measured,) = re.findall(r"took\s([\d.]+) minutes", README)
    assert minutes[1] == f"{float(measured):.0f}"


def test_mean_scores_of_recipes_are_those_of_the_ledger(ledger):
    found = re.findall(
        r"^\| `([\w-]+)`(?:, mean of (?:two|three) seeds)? \| (\d\.\d+) \| (\d\.\d+) \|$",
        EXPERIMENTS,
        re.MULTILINE,
    )
    assert len(found) >= 4
    for recipe, *scores in found:
        for score, metric in zip(scores, ("validation_macro_f1", "eval_macro_f1"), strict=True):
            assert score == f"{mean(ledger[recipe].values(metric).values()):.3f}", recipe


@pytest.mark.parametrize("people", [1199, 239])
def test_the_largest_gap_between_validation_and_evaluation_is_that_of_the_runs(monkeypatch, people):
    monkeypatch.chdir(REPO)
    gaps = [
        abs(run.validation_macro_f1 - run.eval_macro_f1)
        for run in results.read()
        if run.finished and run.validation_people == people and run.recipe != "bench-by-photo"
    ]
    text = " ".join(EXPERIMENTS.split())
    assert re.search(rf"up to {max(gaps):.2f} with {people:,}\b", text)


def test_the_benchmark_table_is_current(monkeypatch):
    monkeypatch.chdir(REPO)
    (section,) = re.findall(r"^## Measurements\n(.*?)^## ", PERFORMANCE, re.DOTALL | re.MULTILINE)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines == report.table(run.ROWS, report.read()).splitlines(), (
        "run python -m benchmarks.run --table and copy the table"
    )
