"""The documents say what the repository says: links, commands, figures and counts."""

import re

import pandas as pd
import pytest
from synthetic import REPO

from benchmarks import report, run
from recipes import results, table

DOCS = sorted((REPO / "docs").glob("*.md"))
README = (REPO / "README.md").read_text()
CARD, SHEET = (
    (REPO / "docs" / name).read_text() for name in ("model_card.md", "demo_data_sheet.md")
)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_make_targets_and_files_exist(path):
    text = path.read_text()
    assert [
        link
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
        if not (path.parent / link).exists()
    ] == []
    targets = re.findall(r"^(\w+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)", text)) <= set(targets)
    for recipe in re.findall(r"NAME=([\w-]+)", text):
        assert (REPO / f"recipes/{recipe}.yaml").exists()
    for file in re.findall(r"`(portrait18/\w+\.py)`", text):
        assert (REPO / file).exists()


def test_the_card_s_figures_are_those_of_the_readme():
    rows = re.findall(r"^\| ([^|]+) \| (\d\.\d+) \| (\d\.\d+) \|$", CARD, re.MULTILINE)
    assert len(rows) == 5
    for name, *figures in rows:
        (line,) = [
            li
            for li in README.splitlines()
            if li.startswith((f"| {name} |", f"| {name}, the 300 people"))
        ]
        assert re.findall(r"\d\.\d+", line) == figures, name


def test_the_groups_of_the_card_add_up_to_the_whole():
    rows = re.findall(
        r"^\| ([^|]+) \| ([\d,]+) \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", CARD, re.MULTILINE
    )
    table = pd.DataFrame(rows, columns=["group", "photos", "mask", "gender", "age", "all"])
    table = table.assign(photos=table.photos.str.replace(",", "")).astype(
        dict.fromkeys(table.columns[1:], float)
    )
    parts = [table[:2], table[2:9], table[9:]]
    assert [part.photos.sum() for part in parts] == [239 * 7] * 3
    means = [
        [(part[c] * part.photos).sum() / part.photos.sum() for c in table.columns[2:]]
        for part in parts
    ]
    assert means[0] == pytest.approx(means[1], abs=1e-3)
    assert means[0] == pytest.approx(means[2], abs=1e-3)
    assert f"{means[0][3]:.3f}" in README, "the 18 classes' accuracy on held-out people"


def test_the_data_sheet_counts_the_demo_right():
    demo = REPO / "data/demo"
    people = pd.read_csv(demo / "train/train.csv")
    answers = pd.read_csv(demo / "eval/answers.csv")
    assert f"{len(people)} people to train on (`train/`), {len(answers) // 7} to label" in SHEET
    assert f"{len(people) * 7 + len(answers)} JPEG photos" in SHEET
    assert (
        "By palette, to train on: "
        + ", ".join(f"{k} {n}" for k, n in people.race.value_counts().items())
        in SHEET
    )
    assert set(
        people.groupby(["gender", pd.cut(people.age, [0, 29, 59, 99])], observed=True).size()
    ) == {6}
    assert len(list(demo.rglob("*.jpg"))) == 336


def test_the_ledger_is_what_its_runs_and_recipes_say(monkeypatch):
    monkeypatch.chdir(REPO)
    assert table.FILE.read_text() == table.render(results.read()), "make ledger"


def test_the_readme_s_speed_is_what_was_measured(monkeypatch):
    monkeypatch.chdir(REPO)
    (section,) = re.findall(r"^## Speed\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines == report.table(run.ROWS, report.read()).splitlines(), (
        "python -m benchmarks.run --table"
    )
