"""Which labels are probably wrong: confident learning on the held-out probabilities.

A label is suspect where a model that never saw the person is, by the standards of each class, sure of
another one (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", as cleanlab has it). Mask is asked for each photo; gender and age for each person, whose photos'
probabilities are averaged, because one label stands on all of them.

A suspect is something to look at, not an error: where a model is often wrong, most of its suspects are
its own mistakes.
"""

import warnings

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from portrait18.dataset.classes import AGE, MASK, OLD_FROM, TASKS, YOUNG_BELOW, Task

COLUMNS = ["photo", "person", "task", "recorded", "suggested", "quality", "years_from_border"]
NEAR_BORDER = 2  # years: nobody's face tells them


def questions(task: Task, answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """What can be asked of a task's labels: one row for each photo (mask) or person (gender, age).

    Args:
        answers: photo and the probability columns of the task, for held-out photos.
        labels: `data/labels.csv`.

    Returns:
        photo (the person's one without a mask, where there is one), person, age, recorded (index), and
        the probability columns. Two folders of one id are two persons here: each has its own label.
    """
    known = labels.set_index("photo").loc[answers.photo]
    table = pd.DataFrame(
        {
            "photo": answers.photo.to_numpy(),
            "recorded": known[task.label_column].to_numpy(),
            **{column: known[column].to_numpy() for column in ("folder", "person", "age", "mask")},
            **{column: answers[column].to_numpy() for column in task.columns},
        }
    )
    wanted = ["photo", "person", "age", "recorded", *task.columns]
    if task is MASK:
        return table[wanted]
    bare_first = table.iloc[(table["mask"] != MASK.classes.index("none")).argsort(kind="stable")]
    how = {
        "photo": "first",
        "person": "first",
        "age": "first",
        **dict.fromkeys(task.columns, "mean"),
    }
    return bare_first.groupby(["folder", "recorded"], as_index=False).agg(how)[wanted]


def years_from_border(age: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Years by which an age would have to be wrong for its person to be of an age group; 0 inside it."""
    first = np.array([-np.inf, YOUNG_BELOW, OLD_FROM])[group]
    last = np.array([YOUNG_BELOW - 1, OLD_FROM - 1, np.inf])[group]
    return np.maximum(np.maximum(first - age, age - last), 0).astype(np.int64)


def suspects_of(task: Task, answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Suspect labels of one task, the columns `COLUMNS`, in the order of the questions.

    `quality` is the probability, 0..1, that the models give to the recorded label. A class that no held-out
    person carries is never suggested: how sure a model is when it is right about it can't be known.
    """
    asked = questions(task, answers, labels)
    present, given = np.unique(asked.recorded, return_inverse=True)
    if len(present) < 2:
        return pd.DataFrame(columns=COLUMNS)
    probabilities = asked[[task.columns[c] for c in present]].to_numpy(float).clip(1e-6)
    probabilities /= probabilities.sum(1, keepdims=True)
    with (
        warnings.catch_warnings()
    ):  # of a class with a single example; there is nothing a user could do
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        # Both of the paper's rules must agree: fewer false alarms to look through, hardly fewer errors found.
        suspect = find_label_issues(given, probabilities, filter_by="both", n_jobs=1)
    asked["quality"] = get_label_quality_scores(given, probabilities, method="self_confidence")
    asked["best"] = present[probabilities.argmax(1)]
    asked = asked[suspect]
    years = years_from_border(asked.age.to_numpy(), asked.best.to_numpy()) if task is AGE else None
    return pd.DataFrame(
        {
            "photo": asked.photo,
            "person": asked.person,
            "task": task.name,
            "recorded": np.take(task.classes, asked.recorded),
            "suggested": np.take(task.classes, asked.best),
            "quality": asked.quality,
            "years_from_border": pd.array(years if task is AGE else [pd.NA] * len(asked), "Int64"),
        }
    )


def suspects(answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Suspect labels of all tasks, worst first.

    Args:
        answers: the held-out table of `ensembling.assemble`; that of an 18-class ensemble holds the three
            tasks' probabilities too.
        labels: `data/labels.csv`.

    Returns:
        photo, person, task, recorded, suggested (names of classes), quality, and for age the years by which
        the recorded age would have to be wrong; see `suspects_of`. No rows where nothing is suspect.
    """
    found = [suspects_of(task, answers, labels) for task in TASKS.values()]
    table = pd.concat([part for part in found if len(part)] or found[:1])
    return table.sort_values(["quality", "task", "photo"], ignore_index=True)[COLUMNS]


def captions(suspects: pd.DataFrame, task: Task, photos: pd.Series, count: int) -> dict[int, str]:
    """Row of the crop store -> `recorded->suggested`, for the `count` worst suspects of a task, worst first.

    Args:
        suspects: as from `suspects`.
        photos: photo names of the crop store, in its order.
    """
    row_of = dict(zip(photos, range(len(photos)), strict=True))
    worst = suspects[suspects.task == task.name].head(count)
    return {row_of[s.photo]: f"{s.recorded}->{s.suggested}" for s in worst.itertuples()}
