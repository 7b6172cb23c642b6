"""Any row of label_fixes.csv changes what it names and nothing else, or is rejected."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from synthetic import MASK_STATES

from portrait18.core.data_params import LabelParams
from portrait18.core.errors import UserError
from portrait18.dataset import labels
from portrait18.dataset.classes import GENDER, MASK, encode

PARAMS = LabelParams(young_below=30, old_from=60, drop_ages=[], fixes="high_confidence")
PEOPLE = {"000001": (0, 25), "1": (1, 45), "NA": (0, 60)}
HEADER = ["person", "photo", "column", "value", "confidence", "reason"]


def or_odd(*valid: str) -> st.SearchStrategy[str]:
    """Mostly one of these values, else any text that a CSV can hold."""
    odd = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
    return st.one_of(*[st.sampled_from(valid)] * 9, odd)


ROW = st.tuples(
    or_odd(*PEOPLE, "2"),
    or_odd("", "", *MASK_STATES),
    or_odd("mask", "gender"),
    or_odd("male", "female", "worn", "incorrect", "none"),
    or_odd("high", "high", "medium"),
    or_odd("", "swapped"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fixes") / "label_fixes.csv"


def inventory() -> pd.DataFrame:
    rows = [
        (
            f"{who}/{state}.jpg",
            who,
            who,
            gender,
            age,
            2 if state == "normal" else int(state == "incorrect_mask"),
        )
        for who, (gender, age) in PEOPLE.items()
        for state in MASK_STATES
    ]
    return pd.DataFrame(
        rows, columns=["photo", "folder", "person", "gender", "age", "mask"]
    ).assign(extra=0)


def is_valid(rows: list[tuple]) -> bool:
    values = {"mask": MASK.classes, "gender": GENDER.classes}
    values_by_key: dict = {}
    for who, photo, column, value, confidence, _ in rows:
        if value not in values.get(column, ()) or confidence not in ("high", "medium"):
            return False
        if photo not in ("", *MASK_STATES) or (column == "mask" and not photo):
            return False
        if values_by_key.setdefault((who, photo, column), value) != value:
            return False
    return True


@tries(250)
@given(st.lists(ROW, max_size=3))
@example(
    [
        ("1", "", "gender", "male", "high", ""),
        ("1", "", "gender", "female", "high", ""),
    ]
)
@example([("1", "", "mask", "worn", "high", "")])
def test_fixes_change_the_labels_they_name_and_nothing_else(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    if not is_valid(rows):
        with pytest.raises(UserError) as caught:
            labels.read_fixes(path)
        problems = caught.value.problems
        assert all("label_fixes.csv line " in p and p.isprintable() for p in problems)
        return
    fixes = labels.read_fixes(path)
    truth = {
        row.photo: {"mask": row.mask, "gender": row.gender} for row in inventory().itertuples()
    }
    for who, photo, column, value, confidence, _ in rows:
        classes = MASK.classes if column == "mask" else GENDER.classes
        for name, label in truth.items():
            if (
                confidence == "high"
                and name.split("/")[0] == who
                and (not photo or name.endswith(f"/{photo}.jpg"))
            ):
                label[column] = classes.index(value)
    made, _ = labels.make(inventory(), fixes, PARAMS)
    for row in made.itertuples(index=False):
        gender, mask = truth[row.photo]["gender"], truth[row.photo]["mask"]
        years = PEOPLE[row.person][1]
        group = (years >= 30) + (years >= 60)
        assert (row.mask, row.gender, row.age, row.age_group) == (mask, gender, years, group)
        assert made["class"][made.photo == row.photo].tolist() == [encode(mask, gender, group)]
