"""From the inventory to labels: known label errors repaired, age groups drawn, the 18 classes numbered.

`data/labels.csv`, one row for each training photo:

    photo, folder, person       as in the inventory
    extra                       1 for people of data.extra: trained on, never held out
    mask, gender                indices into classes.MASK and classes.GENDER, after the fixes
    age                         years, as recorded
    age_group, class            by the competition's thresholds: what every score is measured by
    age_target                  by label.young_below and label.old_from: what training is told
    train                       0 for ages in label.drop_ages: held-out scores keep them, training does not
"""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
from portrait18.core.params import LabelParams
from portrait18.dataset import tables
from portrait18.dataset.classes import (
    ALL,
    GENDER,
    MASK,
    MASK_STATES,
    NAMES,
    TASKS,
    Task,
    age_group,
    encode,
)

_FIXABLE = {"mask": MASK, "gender": GENDER}
_TRUST = {"none": (), "high_confidence": ("high_confidence",), "all": ("high_confidence", "some")}


def read_fixes(path: Path) -> pd.DataFrame:
    """Read label_fixes.csv: person, photo (file stem; empty: all of the person's), column, value, agreement, why."""
    columns = ["person", "photo", "column", "value", "agreement", "why"]
    fixes = tables.read_text(path, columns)
    problems, told = [], {}
    for row in fixes.itertuples():
        line = f"{path} line {row.Index}"
        if row.column not in _FIXABLE:
            problems.append(f"{line}: column {row.column!r} must be one of {list(_FIXABLE)}")
        elif row.value not in _FIXABLE[row.column].classes:
            problems.append(
                f"{line}: value {row.value!r} must be one of {list(_FIXABLE[row.column].classes)}"
            )
        elif row.column == "mask" and not row.photo:
            problems.append(f"{line}: a mask is of one photo; name it, one of {list(MASK_STATES)}")
        elif (
            earlier := told.setdefault((row.person, row.photo, row.column), row)
        ).value != row.value:
            problems.append(
                f"{line}: value {row.value!r} contradicts line {earlier.Index}; keep one of the two"
            )
        if row.photo and row.photo not in MASK_STATES:
            problems.append(
                f"{line}: photo {row.photo!r} must be empty or one of {list(MASK_STATES)}"
            )
        if row.agreement not in _TRUST["all"]:
            problems.append(
                f"{line}: agreement {row.agreement!r} must be one of {list(_TRUST['all'])}"
            )
    if problems:
        raise UserError(problems)
    return fixes


def make(
    inventory: pd.DataFrame, fixes: pd.DataFrame, params: LabelParams
) -> tuple[pd.DataFrame, dict]:
    """Label every photo of the inventory.

    Returns:
        The table of this module's head, and a report: what was fixed, what looks wrong.
    """
    labels = inventory[["photo", "folder", "person", "extra", "mask", "gender", "age"]].copy()
    stem = labels.photo.map(lambda name: Path(name).stem)
    fixed = []
    for row in fixes[fixes.agreement.isin(_TRUST[params.fixes])].itertuples():
        value = _FIXABLE[row.column].classes.index(row.value)
        hit = (
            (labels.person == row.person)
            & ((row.photo == "") | (stem == row.photo))
            & (labels[row.column] != value)
        )
        labels.loc[hit, row.column] = value
        fixed += [
            {"photo": photo, "column": row.column, "value": row.value}
            for photo in labels.photo[hit]
        ]
    labels["age_group"] = age_group(labels.age)
    labels["class"] = encode(labels["mask"], labels.gender, labels.age_group)
    labels["age_target"] = age_group(labels.age, params.young_below, params.old_from)
    labels["train"] = (~labels.age.isin(params.drop_ages)).astype(np.int64)
    if not labels.train.any():
        raise UserError(
            f"params.yaml: label.drop_ages = {params.drop_ages} leaves no photo to train on; drop fewer"
        )
    return labels, {"fixed": fixed, "suspect": _suspect(labels)}


def _suspect(labels: pd.DataFrame) -> list[str]:
    """Lines for what may be wrong but does not stop the work."""
    people = labels.drop_duplicates("folder")
    shared = people[people.person.duplicated(keep=False)].groupby("person").folder.agg(list)
    lines = [
        f"id {person} stands for {len(f)} folders ({', '.join(f)}); kept in one fold"
        for person, f in shared.items()
    ]
    odd = people[(people.age < 15) | (people.age > 100)]
    lines += [
        f"{row.folder}: age {row.age}; the classes are made for adults, correct it?"
        for row in odd.itertuples()
    ]
    counts = labels["class"].value_counts()
    lines += [
        f"class {i} ({name}) has no photo; its F1 counts as 0 in a macro-F1"
        for i, name in enumerate(NAMES)
        if i not in counts
    ]
    return lines


def counts(labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How uneven the data are: (column, value, people, photos) for each task, (class, name, photos) for the 18."""
    rows = []
    for task in TASKS.values():
        values = labels["age_group" if task.name == "age" else task.name]
        for i, name in enumerate(task.classes):
            hit = values == i
            rows.append((task.name, name, labels.person[hit].nunique(), int(hit.sum())))
    by_class = labels["class"].value_counts().reindex(range(len(NAMES)), fill_value=0)
    return (
        pd.DataFrame(rows, columns=["column", "value", "people", "photos"]),
        pd.DataFrame({"class": range(len(NAMES)), "name": NAMES, "photos": by_class.to_numpy()}),
    )


def class_index(task: Task, labels: pd.DataFrame, trained: bool) -> pd.Series:
    """Class of each photo: what training is told (`trained`), or the truth that scores use."""
    age = labels.age_target if trained else labels.age_group
    if task is ALL:
        return encode(labels["mask"], labels.gender, age)
    return age if task.name == "age" else labels[task.name]
