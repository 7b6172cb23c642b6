"""Labels of the training photos: fixes of known errors, age groups and class ids.

`data/labels.csv` has one row for each training photo:

    photo, folder, person       as in data/photos/train.csv
    extra                       1 for people of data.extra, who are never in a validation set
    mask, gender                indices into classes.MASK and classes.GENDER, after the fixes
    age                         years, as recorded
    age_group, class            by the competition's age boundaries; every score uses these
    age_target                  by label.young_below and label.old_from; training uses this
    train                       0 for ages in label.drop_ages, which only validation uses
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from portrait18.core.data_params import LabelParams
from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.classes import (
    ALL,
    CLASS_NAMES,
    GENDER,
    MASK,
    MASK_BY_STEM,
    TASKS,
    Task,
    age_group,
    encode,
)

_FIXABLE = {"mask": MASK, "gender": GENDER}
#: `label.fixes` -> values of the column `confidence` that it applies.
_APPLIED = {"none": (), "high_confidence": ("high",), "all": ("high", "medium")}


class Fix(NamedTuple):
    """A row of label_fixes.csv.

    Attributes:
        line: line of the file.
        person: id of the person.
        photo: stem of one photo; empty for all photos of the person.
        column: `mask` or `gender`.
        value: name of the correct class.
        confidence: `high` or `medium`.
        reason: a comment.
    """

    line: int
    person: str
    photo: str
    column: str
    value: str
    confidence: str
    reason: str


def read_fixes(path: Path) -> list[Fix]:
    """Read and check label_fixes.csv.

    Raises:
        UserError: one line for each invalid row.
    """
    columns = list(Fix._fields[1:])
    table = tables.read_user_csv(path, columns)
    fixes = [
        Fix(line, *cells)
        for line, cells in zip(table.index, table[columns].to_numpy().tolist(), strict=True)
    ]
    problems: list[str] = []
    earlier: dict[tuple, Fix] = {}
    for fix in fixes:
        problems += [f"{path} line {fix.line}: {problem}" for problem in _problems(fix, earlier)]
    if problems:
        raise UserError(problems)
    return fixes


def _problems(fix: Fix, earlier: dict[tuple, Fix]) -> list[str]:
    """Return what is wrong with a row; adds a valid row to `earlier`."""
    problems = []
    task = _FIXABLE.get(fix.column)
    if task is None:
        problems.append(f"column {fix.column!r} must be one of {list(_FIXABLE)}")
    elif fix.value not in task.classes:
        problems.append(f"value {fix.value!r} must be one of {list(task.classes)}")
    elif fix.column == "mask" and not fix.photo:
        problems.append(f"a mask label needs a photo; name one of {list(MASK_BY_STEM)}")
    else:
        first = earlier.setdefault((fix.person, fix.photo, fix.column), fix)
        if first.value != fix.value:
            problems.append(f"value {fix.value!r} contradicts line {first.line}; keep one of them")
    if fix.photo and fix.photo not in MASK_BY_STEM:
        problems.append(f"photo {fix.photo!r} must be empty or one of {list(MASK_BY_STEM)}")
    if fix.confidence not in _APPLIED["all"]:
        problems.append(f"confidence {fix.confidence!r} must be one of {list(_APPLIED['all'])}")
    return problems


def make(
    inventory: pd.DataFrame, fixes: list[Fix], params: LabelParams
) -> tuple[pd.DataFrame, dict]:
    """Label every photo of the inventory.

    Args:
        inventory: data/photos/train.csv.
        fixes: corrections; `params.fixes` selects which to apply.
        params: the `label` section.

    Returns:
        The table that this module describes, and a report: `fixed` labels and `suspect` data.

    Raises:
        UserError: `params.drop_ages` leaves no photo to train on.
    """
    labels = inventory[["photo", "folder", "person", "extra", "mask", "gender", "age"]].copy()
    fixed = _apply(labels, [fix for fix in fixes if fix.confidence in _APPLIED[params.fixes]])
    labels["age_group"] = age_group(labels.age)
    labels["class"] = encode(labels["mask"], labels.gender, labels.age_group)
    labels["age_target"] = age_group(labels.age, params.young_below, params.old_from)
    labels["train"] = (~labels.age.isin(params.drop_ages)).astype(np.int64)
    if not labels.train.any():
        raise UserError(
            f"params.yaml: label.drop_ages = {params.drop_ages} leaves no photo to train on;"
            " drop fewer ages"
        )
    return labels, {"fixed": fixed, "suspect": _suspect(labels)}


def _apply(labels: pd.DataFrame, fixes: list[Fix]) -> list[dict]:
    """Apply fixes in place; return the labels that changed."""
    stems = np.array([Path(name).stem for name in labels.photo], object)
    fixed: list[dict] = []
    for fix in fixes:
        value = _FIXABLE[fix.column].classes.index(fix.value)
        changed = (labels.person == fix.person) & (labels[fix.column] != value)
        if fix.photo:
            changed &= stems == fix.photo
        labels.loc[changed, fix.column] = value
        fixed += [
            {"photo": photo, "column": fix.column, "value": fix.value}
            for photo in labels.photo[changed]
        ]
    return fixed


def _suspect(labels: pd.DataFrame) -> list[str]:
    """Return a line for each thing that may be wrong but does not stop the pipeline."""
    people = labels.drop_duplicates("folder")
    shared = people[people.person.duplicated(keep=False)].groupby("person").folder.agg(list)
    lines = [
        f"id {person} has {len(folders)} folders ({', '.join(folders)}); they stay in one fold"
        for person, folders in shared.items()
    ]
    odd = people[(people.age < 15) | (people.age > 100)]
    lines += [
        f"{row.folder}: age {row.age} is outside 15..100; correct it if it is wrong"
        for row in odd.itertuples()
    ]
    counts = labels["class"].value_counts()
    lines += [
        f"class {i} ({name}) has no photo; its F1 counts as 0 in a macro-F1"
        for i, name in enumerate(CLASS_NAMES)
        if i not in counts
    ]
    return lines


def counts(labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count people and photos per class.

    Returns:
        (column, value, people, photos) of each task, and (class, name, photos) of the 18 classes.
    """
    rows = []
    for task in TASKS.values():
        values = labels[task.label_column]
        for i, name in enumerate(task.classes):
            rows_of_class = values == i
            people = labels.person[rows_of_class].nunique()
            rows.append((task.name, name, people, int(rows_of_class.sum())))
    ids = range(len(CLASS_NAMES))
    photos = labels["class"].value_counts().reindex(ids, fill_value=0).to_numpy()
    return (
        pd.DataFrame(rows, columns=["column", "value", "people", "photos"]),
        pd.DataFrame({"class": ids, "name": CLASS_NAMES, "photos": photos}),
    )


def select_people(labels: pd.DataFrame, people: str) -> pd.DataFrame:
    """Return the rows of the people that a model is for.

    Args:
        labels: data/labels.csv.
        people: `all`, `female` or `male`.
    """
    if people not in GENDER.classes:
        return labels
    return labels[labels.gender == GENDER.classes.index(people)]


def class_index(task: Task, labels: pd.DataFrame, for_training: bool) -> pd.Series:
    """Return the class index of each photo in a task.

    Args:
        task: one of `TASKS`, or `ALL`.
        labels: data/labels.csv.
        for_training: use the age boundaries of training instead of those of the scores.
    """
    age = labels.age_target if for_training else labels.age_group
    if task is ALL:
        return encode(labels["mask"], labels.gender, age)
    return age if task.name == "age" else labels[task.name]
