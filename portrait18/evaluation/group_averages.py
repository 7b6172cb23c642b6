"""Averages of gender and age over the photos of each person.

A bare face tells more of gender and age than a masked one, so photos count by their mask. The
weight of a photo is the mean of the weights of the three mask classes, by their predicted
probabilities. A worn mask has the weight 1. The weights of the others are those whose averages have
the lowest log loss on validation people.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, marginals
from portrait18.dataset.labels import class_index
from portrait18.evaluation import voting

#: Weights to choose from, of a mask worn incorrectly and of a bare face. Of equal losses the first
#: wins. In steps of 2, because the loss is flat near its lowest value.
CANDIDATES = (1, 2, 4, 8, 16, 32, 64, 128)
SHARED = (GENDER, AGE)  # tasks whose answer all photos of a person share
_FLOOR = 1e-7  # smallest probability that the log loss sees


def fit_weights(
    models: Mapping[str, pd.DataFrame], groups: pd.DataFrame, labels: pd.DataFrame
) -> dict[str, tuple[float, ...]]:
    """Choose the weights of the mask classes for each task.

    Args:
        models: name -> predictions of single photos, index (set, photo); gender and age are the
            means of the models that predict them.
        groups: columns set, photo and group, with every photo.
        labels: data/labels.csv, index photo.

    Returns:
        `gender` and `age` -> weights of the classes of `MASK`; 1 each without validation photos.
    """
    validation = {
        name: table[table.index.get_level_values("set") == "validation"]
        for name, table in models.items()
    }
    index = next(iter(validation.values())).index
    if index.empty:
        return {task.name: (1.0,) * len(MASK.classes) for task in SHARED}
    group = _group_of(index, groups)
    known = labels.loc[index.get_level_values("photo")]
    mask = voting.mean_probabilities(MASK, validation.values())
    return {
        task.name: _choose(
            voting.mean_probabilities(task, validation.values()),
            class_index(task, known, for_training=False).to_numpy(),
            mask,
            group,
        )
        for task in SHARED
    }


def _choose(
    probabilities: np.ndarray, truth: np.ndarray, mask: np.ndarray, group: np.ndarray
) -> tuple[float, ...]:
    rows = np.arange(len(truth))

    def loss(weights: tuple[float, ...]) -> float:
        averages = _average(probabilities, mask @ np.array(weights), group)
        return -float(np.log(averages[rows, truth].clip(_FLOOR)).sum())

    candidates = [(1.0, float(w), float(n)) for w, n in product(CANDIDATES, repeat=2)]
    return min(candidates, key=loss)


def _average(values: np.ndarray, weights: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Replace each row of `values`, float (N, C), by the weighted mean of its group."""
    sums = [np.bincount(group, column * weights) for column in values.T]
    return (np.stack(sums, axis=1) / np.bincount(group, weights)[:, None])[group]


def _group_of(index: pd.Index, groups: pd.DataFrame) -> np.ndarray:
    """Return a number of the group of each photo, int (N,); sets share no group."""
    group = groups.set_index(["set", "photo"]).group.loc[index].to_numpy()
    keys = pd.MultiIndex.from_arrays([index.get_level_values("set"), group])
    return pd.factorize(keys)[0]


def average(
    models: Mapping[str, pd.DataFrame],
    groups: pd.DataFrame,
    weights: Mapping[str, tuple[float, ...]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Average gender and age predictions over the photos of each person.

    The arithmetic mean of probabilities needs no normalization, and one masked photo with a
    confident error, or in the wrong group, cannot veto the others. The mask differs between photos,
    so 18-class probabilities are first split into the three tasks.

    Args:
        models: name -> predictions, index (set, photo): probability columns and, if predicted,
            years.
        groups: columns set, photo and group, with every photo of the tables.
        weights: of the mask classes for gender and age, see `fit_weights`; None: all photos count
            equally.

    Returns:
        name -> the table with averaged columns.
    """
    group = _group_of(next(iter(models.values())).index, groups)
    if weights is None:
        photos = {task.name: np.ones(len(group)) for task in SHARED}
    else:
        mask = voting.mean_probabilities(MASK, models.values())
        photos = {name: mask @ np.array(each) for name, each in weights.items()}
    return {name: _average_table(table, photos, group) for name, table in models.items()}


def _average_table(
    table: pd.DataFrame, weights: Mapping[str, np.ndarray], group: np.ndarray
) -> pd.DataFrame:
    if ALL.columns[0] in table:
        parts = marginals(table[ALL.columns].to_numpy())
        columns = {
            column: probabilities
            for task in TASKS.values()
            for column, probabilities in zip(task.columns, parts[task.name].T, strict=True)
        }
        table = table.drop(columns=ALL.columns).assign(**columns)
    for task in SHARED:
        shared = [*task.columns, *(["years"] if task is AGE else [])]
        shared = [column for column in shared if column in table]
        if shared:
            means = _average(table[shared].to_numpy(), weights[task.name], group)
            table = table.assign(**dict(zip(shared, means.T, strict=True)))
    return table
