from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from synthetic import REPO

from portrait18.core.data_params import LabelParams
from portrait18.core.errors import UserError
from portrait18.dataset import labels
from portrait18.dataset.classes import MASK_BY_STEM, encode

HEADER = "person,photo,column,value,confidence,reason\n"


def inventory(*folders: str) -> pd.DataFrame:
    rows = []
    for folder in folders:
        person, gender, _, age = folder.split("_")
        rows += [
            (
                f"{folder}/{s}.jpg",
                folder,
                person,
                int(gender == "female"),
                int(age),
                MASK_BY_STEM[s],
            )
            for s in MASK_BY_STEM
        ]
    return pd.DataFrame(
        rows, columns=["photo", "folder", "person", "gender", "age", "mask"]
    ).assign(extra=0)


def label_params(**changes) -> LabelParams:
    return LabelParams(**{**yaml.safe_load((REPO / "params.yaml").read_text())["label"], **changes})


def fixes(tmp_path: Path, *rows: str) -> list[labels.Fix]:
    (tmp_path / "fixes.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return labels.read_fixes(tmp_path / "fixes.csv")


def test_counts_per_class_equal_those_of_the_competition():
    cell = [549, 410, 83, 732, 817, 109]
    kinds = [(g, a) for g in ("male", "female") for a in (25, 45, 60)]
    folders = [
        f"{g}{a}-{i}_{g}_Asian_{a}" for (g, a), n in zip(kinds, cell, strict=True) for i in range(n)
    ]
    table, _ = labels.make(inventory(*folders), [], label_params())
    by_column, by_class = labels.counts(table)
    assert by_class.photos.tolist() == [2745, 2050, 415, 3660, 4085, 545, *cell, *cell]
    by_column = by_column.set_index(["column", "value"])
    assert by_column.loc[("gender", "female")].tolist() == [1658, 1658 * 7]
    assert by_column.loc[("mask", "incorrect")].tolist() == [2700, 2700]
    assert by_column.loc[("age", "old")].tolist() == [192, 192 * 7]


@pytest.mark.parametrize(("age", "group"), [(29, 0), (30, 1), (59, 1), (60, 2)])
def test_the_age_determines_group_and_class(age, group):
    table, _ = labels.make(inventory(f"1_female_Asian_{age}"), [], label_params())
    assert set(table.age_group) == set(table.age_target) == {group}
    assert table["class"].tolist() == [encode(MASK_BY_STEM[s], 1, group) for s in MASK_BY_STEM]


@pytest.mark.parametrize(
    ("changes", "age", "target"),
    [({"old_from": 58}, 58, 2), ({"old_from": 58}, 57, 1), ({"young_below": 28}, 28, 1)],
)
def test_moved_age_boundaries_change_the_training_target_only(changes, age, target):
    people = inventory(f"1_male_Asian_{age}", "2_female_Asian_60")
    before, _ = labels.make(people, [], label_params())
    after, _ = labels.make(people, [], label_params(**changes))
    assert after.age_target.iloc[0] == target
    pd.testing.assert_frame_equal(
        before.drop(columns="age_target"), after.drop(columns="age_target")
    )


def test_dropped_ages_keep_their_rows_but_not_for_training():
    table, _ = labels.make(
        inventory("1_male_Asian_57", "2_male_Asian_56"), [], label_params(drop_ages=[57, 58])
    )
    assert len(table) == 14
    assert table.groupby("age").train.unique().map(list).to_dict() == {56: [1], 57: [0]}


def test_dropping_every_age_is_rejected():
    with pytest.raises(UserError, match=r"label\.drop_ages = \[57\] leaves no photo"):
        labels.make(inventory("1_male_Asian_57"), [], label_params(drop_ages=[57]))


@pytest.mark.parametrize(
    ("selected", "genders"), [("none", [0, 0]), ("high_confidence", [1, 0]), ("all", [1, 1])]
)
def test_the_params_select_fixes_by_confidence(tmp_path, selected, genders):
    table = fixes(
        tmp_path,
        "1,,gender,female,high,recorded as male",
        "2,,gender,female,medium,recorded as male",
    )
    made, report = labels.make(
        inventory("1_male_Asian_25", "2_male_Asian_25"), table, label_params(fixes=selected)
    )
    assert made.groupby("person").gender.unique().map(list).to_dict() == {
        "1": [genders[0]],
        "2": [genders[1]],
    }
    assert len(report["fixed"]) == 7 * sum(genders)


def test_a_fix_of_a_person_changes_all_their_photos(tmp_path):
    table = fixes(tmp_path, "1,,gender,female,high,")
    made, _ = labels.make(
        inventory("1_male_Asian_25"), table, label_params(fixes="high_confidence")
    )
    assert made["class"].tolist() == [encode(MASK_BY_STEM[s], 1, 0) for s in MASK_BY_STEM]


def test_a_fix_of_a_photo_leaves_other_photos_unchanged(tmp_path):
    swap = fixes(
        tmp_path,
        "1,normal,mask,incorrect,high,swapped",
        "1,incorrect_mask,mask,none,high,swapped",
    )
    made, report = labels.make(
        inventory("1_male_Asian_25", "2_male_Asian_25"), swap, label_params(fixes="high_confidence")
    )
    assert made["mask"].tolist() == [1, 2, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0]
    assert report["fixed"] == [
        {"photo": "1_male_Asian_25/normal.jpg", "column": "mask", "value": "incorrect"},
        {"photo": "1_male_Asian_25/incorrect_mask.jpg", "column": "mask", "value": "none"},
    ]


def test_a_fix_that_changes_nothing_is_not_reported(tmp_path):
    table = fixes(tmp_path, "1,,gender,male,high,")
    _, report = labels.make(
        inventory("1_male_Asian_25"), table, label_params(fixes="high_confidence")
    )
    assert report["fixed"] == []


def test_fixes_compare_ids_as_text(tmp_path):
    people = inventory("1_male_Asian_25", "000001_male_Asian_25")
    made, _ = labels.make(
        people,
        fixes(tmp_path, "000001,,gender,female,high,"),
        label_params(fixes="high_confidence"),
    )
    assert made.groupby("person").gender.max().to_dict() == {"000001": 1, "1": 0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,,sex,male,high,", "line 2: column 'sex' must be one of ['mask', 'gender']"),
        ("1,,age,60,high,", "line 2: column 'age' must be one of"),
        ("1,,gender,man,high,", "line 2: value 'man' must be one of ['male', 'female']"),
        (
            "1,,mask,male,high,",
            "line 2: value 'male' must be one of ['worn', 'incorrect', 'none']",
        ),
        (
            "1,,gender,male,maybe,",
            "line 2: confidence 'maybe' must be one of ['high', 'medium']",
        ),
        ("1,,gender,male", "line 2 has 4 cells, its header 6"),
        ("1,normla,mask,none,high,", "line 2: photo 'normla'"),
        ("1,,gender,male,high,too,many", "fixes.csv"),
    ],
)
def test_an_invalid_fix_is_rejected_with_the_allowed_values(tmp_path, row, message):
    with pytest.raises(UserError) as caught:
        fixes(tmp_path, row)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_with_too_many_cells_is_rejected(tmp_path):
    with pytest.raises(UserError, match=r"fixes\.csv"):
        fixes(
            tmp_path,
            "1,,gender,male,high,",
            "1,,gender,male,high,recorded, as female",
        )


def test_all_invalid_fixes_are_listed_together(tmp_path):
    with pytest.raises(UserError) as caught:
        fixes(
            tmp_path,
            "1,,sex,male,high,",
            "1,,gender,male,high,",
            "1,,gender,man,maybe,",
        )
    assert [line.split(": ")[0][-6:] for line in caught.value.problems] == [
        "line 2",
        "line 4",
        "line 4",
    ]


def test_fixes_with_other_columns_are_rejected(tmp_path):
    (tmp_path / "fixes.csv").write_text("person,column,value\n")
    with pytest.raises(UserError, match=r"fixes\.csv has columns"):
        labels.read_fixes(tmp_path / "fixes.csv")


def test_the_fixes_of_the_repository_are_valid():
    table = labels.read_fixes(REPO / "data/label_fixes.csv")
    assert {fix.confidence for fix in table} == {"high", "medium"}
    assert all(len(fix.person) >= 6 for fix in table)


def test_an_id_with_two_folders_is_suspect():
    people = inventory("003397_male_Asian_25", "003397_male_Asian_60", "1_male_Asian_25")
    _, report = labels.make(people, [], label_params())
    (line,) = [line for line in report["suspect"] if "2 folders" in line]
    assert all(
        part in line for part in ("id 003397 ", "003397_male_Asian_25", "003397_male_Asian_60")
    )


def test_a_child_and_a_missing_class_are_suspect():
    _, report = labels.make(inventory("1_male_Asian_9"), [], label_params())
    assert any("1_male_Asian_9: age 9" in line for line in report["suspect"])
    assert any(
        line.startswith("class 17 (none female >=60) has no photo") for line in report["suspect"]
    )
    assert not any(line.startswith("class 0 ") for line in report["suspect"])


def test_labels_are_integers():
    table, _ = labels.make(inventory("1_male_Asian_25"), [], label_params())
    numbers = table.drop(columns=["photo", "folder", "person"])
    assert all(np.issubdtype(kind, np.integer) for kind in numbers.dtypes)
