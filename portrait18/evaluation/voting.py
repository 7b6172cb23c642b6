"""Shared arithmetic of the ensemble: from the predictions of many models to votes and to a table.

The stages `ensemble` and `pseudo_label` and `portrait18.deployment.predictor.Predictor` use the
same functions, so that a bundle predicts as the pipeline does. A table of predictions has the
probability columns of its model's task (`Task.columns`) and, if the model predicts years, `years`.
"""

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import pandas as pd

from portrait18.dataset.classes import ALL, TASKS, Task, joint, marginals
from portrait18.evaluation.ensemble_config import TaskPredictions, by_task

#: Columns that identify a photo in `data/predictions`.
KEYS = ["set", "photo"]


def average_members(members: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Return the mean over the members of one model (folds x seeds).

    Args:
        members: tables of predictions. A photo may be missing in some of them: validation photos
            are predicted by the members of their own fold only.
        keys: columns that identify a photo; they become the index, which is sorted.
    """
    return pd.concat(members).groupby(keys, sort=True).mean()


def select_set(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one set (`validation` or `eval`), index photo, of averaged predictions."""
    return cast(pd.DataFrame, table.xs(name, level="set"))


def tasks_of(models: Mapping[str, pd.DataFrame]) -> list[Task]:
    """Return `[ALL]` if every model predicts the 18 classes, else the three tasks."""
    if all(ALL.columns[0] in table for table in models.values()):
        return [ALL]
    return list(TASKS.values())


def own_task(table: pd.DataFrame) -> Task:
    """Return the task that a model was trained for, by the columns of its predictions."""
    return next(task for task in (ALL, *TASKS.values()) if task.columns[0] in table)


def task_probabilities(task: Task, table: pd.DataFrame) -> np.ndarray | None:
    """Return a model's probabilities for a task, float (N, C).

    They are the model's own columns or the marginals of its 18 classes. None if it has neither.
    """
    if task.columns[0] in table:
        return table[task.columns].to_numpy()
    if ALL.columns[0] in table:
        return marginals(table[ALL.columns].to_numpy())[task.name]
    return None


def mean_probabilities(task: Task, models: Iterable[pd.DataFrame]) -> np.ndarray:
    """Return the mean over the models that predict a task, float (N, C)."""
    found = (task_probabilities(task, table) for table in models)
    return np.mean([each for each in found if each is not None], axis=0)


def models_by_task(
    models: Mapping[str, pd.DataFrame], tasks: Iterable[Task]
) -> dict[str, list[str]]:
    """Return task -> names of the models that predict it, in the order of `models`."""
    return {
        task.name: [
            name for name, table in models.items() if task_probabilities(task, table) is not None
        ]
        for task in tasks
    }


def collect_votes(
    models: Mapping[str, pd.DataFrame], voters: Mapping[str, list[str]]
) -> dict[str, np.ndarray]:
    """Return task -> probabilities of its models, float (models, N, C).

    Args:
        models: name -> table of predictions, all with the same photos in the same order.
        voters: task -> names of the models that vote on it; see `models_by_task`.
    """
    tasks = {**TASKS, ALL.name: ALL}
    return {
        name: np.stack([_require(tasks[name], member, models[member]) for member in members])
        for name, members in voters.items()
    }


def _require(task: Task, model: str, table: pd.DataFrame) -> np.ndarray:
    probabilities = task_probabilities(task, table)
    if probabilities is None:
        raise ValueError(f"model {model} votes on {task.name} but has no probabilities for it")
    return probabilities


def mean_years(models: Iterable[pd.DataFrame]) -> np.ndarray | None:
    """Return the mean expected age over the models that predict years, float (N,).

    None if no model does.
    """
    years = [table.years for table in models if "years" in table]
    return np.mean(years, axis=0) if years else None


def assemble(
    predictions: dict[str, TaskPredictions], photos: pd.Index, years: np.ndarray | None
) -> pd.DataFrame:
    """Return one table from the predictions for each task.

    Returns:
        photo, the probabilities of the three tasks (and of the 18 classes if they were predicted
        jointly), `years` if given, then the predicted mask, gender, age (indices), class (0 to 17).
    """
    table = pd.DataFrame({"photo": photos})
    if ALL.name in predictions:
        probabilities = predictions[ALL.name].probabilities
        table = table.assign(**dict(zip(ALL.columns, probabilities.T, strict=True)))
    parts, class_ids = by_task(predictions)
    for name, task in TASKS.items():
        table = table.assign(**dict(zip(task.columns, parts[name].T, strict=True)))
    if years is not None:
        table["years"] = years
    for name, task in TASKS.items():
        table[name] = class_ids // task.stride % len(task.classes)
    return table.assign(**{"class": class_ids})


def joint_of(table: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of the 18 classes, float (N, 18), of an assembled table."""
    if ALL.columns[0] in table:
        return table[ALL.columns].to_numpy()
    return joint(*(table[task.columns].to_numpy() for task in TASKS.values()))
