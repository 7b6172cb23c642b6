"""Find labels that are probably wrong: confident learning on out-of-fold probabilities.

A label is suspect if a model that never saw the person is confident of another class, by the
standards of each class (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
Uncertainty in Dataset Labels"; the implementation is cleanlab's). Mask labels are checked per
photo. Gender and age labels are checked per person, with the mean probabilities of the person's
photos, because one label applies to all of them.

A suspect is a candidate to look at, not an error: where a model is often wrong, most of its
suspects are its own mistakes.
"""

import warnings

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from portrait18.dataset.classes import AGE, MASK, OLD_FROM, TASKS, YOUNG_BELOW, Task

COLUMNS = ["photo", "person", "task", "recorded", "suggested", "quality", "years_from_boundary"]
NEAR_BOUNDARY = 2  # years; too little to see in a face


def label_table(task: Task, predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels of a task to check: one row per photo (mask) or person (gender, age).

    Args:
        task: one of the three tasks.
        predictions: photo and the probability columns of the task, for validation photos.
        labels: `data/labels.csv`.

    Returns:
        photo (of a person, the one without a mask if there is one), person, age, recorded (index)
        and the probability columns. Two folders with one id are two persons with their own labels.
    """
    known = labels.set_index("photo").loc[predictions.photo]
    table = pd.DataFrame(
        {
            "photo": predictions.photo.to_numpy(),
            "recorded": known[task.label_column].to_numpy(),
            **{column: known[column].to_numpy() for column in ("folder", "person", "age", "mask")},
            **{column: predictions[column].to_numpy() for column in task.columns},
        }
    )
    wanted = ["photo", "person", "age", "recorded", *task.columns]
    if task is MASK:
        return table[wanted]
    bare_first = table.iloc[(table["mask"] != MASK.classes.index("none")).argsort(kind="stable")]
    columns = {
        **dict.fromkeys(("photo", "person", "age"), "first"),
        **dict.fromkeys(task.columns, "mean"),
    }
    return bare_first.groupby(["folder", "recorded"], as_index=False).agg(columns)[wanted]


def years_from_boundary(age: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return by how many years an age lies outside an age group, int (N,); 0 inside.

    Args:
        age: years, (N,).
        group: index of an age group, int (N,).
    """
    first = np.array([-np.inf, YOUNG_BELOW, OLD_FROM])[group]
    last = np.array([YOUNG_BELOW - 1, OLD_FROM - 1, np.inf])[group]
    return np.maximum(np.maximum(first - age, age - last), 0).astype(np.int64)


def task_suspects(task: Task, predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the suspect labels of one task; see `suspects`.

    A class that no validation person has is never suggested: its threshold of confidence can't be
    estimated.
    """
    table = label_table(task, predictions, labels)
    present, given = np.unique(table.recorded, return_inverse=True)
    if len(present) < 2:
        return pd.DataFrame(columns=COLUMNS)
    probabilities = table[[task.columns[c] for c in present]].to_numpy(float).clip(1e-6)
    probabilities /= probabilities.sum(1, keepdims=True)
    with warnings.catch_warnings():
        # Raised for a class with a single example. A user can't do anything about it.
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        # Both of the paper's rules must agree: fewer false alarms, hardly fewer errors found.
        suspect = find_label_issues(given, probabilities, filter_by="both", n_jobs=1)
    table["quality"] = get_label_quality_scores(given, probabilities, method="self_confidence")
    table["best"] = present[probabilities.argmax(1)]
    table = table[suspect]
    if task is AGE:
        years = pd.array(years_from_boundary(table.age.to_numpy(), table.best.to_numpy()), "Int64")
    else:
        years = pd.array([pd.NA] * len(table), "Int64")
    return pd.DataFrame(
        {
            "photo": table.photo,
            "person": table.person,
            "task": task.name,
            "recorded": np.take(task.classes, table.recorded),
            "suggested": np.take(task.classes, table.best),
            "quality": table.quality,
            "years_from_boundary": years,
        }
    )


def suspects(predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the suspect labels of all tasks, lowest quality first; no rows if there are none.

    Args:
        predictions: table of `voting.assemble` for validation photos.
        labels: `data/labels.csv`.

    Returns:
        photo, person, task, recorded and suggested (names of classes), quality (probability of the
        recorded label, 0 to 1), and for age years_from_boundary: by how much the recorded age would
        have to be wrong.
    """
    found = [task_suspects(task, predictions, labels) for task in TASKS.values()]
    table = pd.concat([part for part in found if len(part)] or found[:1])
    return table.sort_values(["quality", "task", "photo"], ignore_index=True)[COLUMNS]


def captions(suspects: pd.DataFrame, task: Task, photos: pd.Series, count: int) -> dict[int, str]:
    """Return row of the crop store -> `recorded->suggested`, lowest quality first.

    Args:
        suspects: see `suspects`.
        task: one of the three tasks.
        photos: names of the photos in the crop store, in its order.
        count: number of suspects.
    """
    row_of = dict(zip(photos, range(len(photos)), strict=True))
    worst = suspects[suspects.task == task.name].head(count)
    return {row_of[s.photo]: f"{s.recorded}->{s.suggested}" for s in worst.itertuples()}
