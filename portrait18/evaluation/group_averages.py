"""Averages of gender and age over the photos of each person, weighted by mask.

A bare face shows gender and age better than a masked one. So the weight of a photo is the mean of
the weights of the three mask classes, by their predicted probabilities. A worn mask has the weight
1. The other two weights are those with the lowest log loss on validation people.
"""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, marginals
from portrait18.dataset.labels import class_index
from portrait18.evaluation import decisions, voting

#: Candidate weights of a mask worn incorrectly and of a bare face: powers of 2, because the loss is
#: flat near its minimum. Ties go to the first.
CANDIDATES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
EQUAL = (1.0,) * len(MASK.classes)
SHARED = (GENDER, AGE)  # all photos of a person have the same class of these
_FLOOR = 1e-7  # smallest probability in the log loss

MaskWeights = tuple[float, ...]  # weights of the classes of MASK


class PhotoWeights(NamedTuple):
    """Weights of photos in the averages of each task in `SHARED`.

    Attributes:
        by_photo: task -> weights of the photos, float (N,).
        by_mask: task -> weights of the mask classes, fitted on all validation people.
    """

    by_photo: dict[str, np.ndarray]
    by_mask: dict[str, MaskWeights]


def fit_weights(
    models: Mapping[str, pd.DataFrame], groups: pd.DataFrame, labels: pd.DataFrame
) -> PhotoWeights:
    """Choose the weights of all photos.

    Evaluation photos get the weights fitted on all validation people, validation photos those
    fitted on the other four fifths of the people, so that fitting can't inflate the validation
    scores. All photos of a task count equally unless the weights lower the log loss of the
    validation people by more than its standard error: with few people, they follow noise.

    Args:
        models: name -> predictions of single photos, index (set, photo), all with the same photos
            in the same order. A task's probabilities are the mean over its models.
        groups: columns set, photo and group, with every photo.
        labels: data/labels.csv, index photo.
    """
    index = next(iter(models.values())).index
    validation = index.get_level_values("set") == "validation"
    known = labels.loc[index.get_level_values("photo")[validation]]
    group = _group_of(index[validation], groups)
    mask = voting.mean_probabilities(MASK, models.values())
    by_photo, by_mask = {}, {}
    for task in SHARED:
        probabilities = voting.mean_probabilities(task, models.values())[validation]
        truth = class_index(task, known, for_training=False).to_numpy()
        data = _Validation(probabilities, truth, mask[validation], group, known)
        weights, cross_fitted = data.fit()
        by_photo[task.name] = mask @ np.array(weights)
        by_photo[task.name][validation] = cross_fitted
        by_mask[task.name] = weights
    return PhotoWeights(by_photo, by_mask)


class _Validation(NamedTuple):
    """Validation photos and one task.

    Attributes:
        probabilities: float (N, C).
        truth: class indices, int (N,).
        mask: probabilities of the mask classes, float (N, 3).
        group: number of the person that a photo is averaged with, int (N,).
        labels: rows of data/labels.csv.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    group: np.ndarray
    labels: pd.DataFrame

    def fit(self) -> tuple[MaskWeights, np.ndarray]:
        """Return the weights of the mask classes, and those of the photos, cross-fitted."""
        equal = np.ones(len(self.truth))
        people = self.labels.person.to_numpy()
        if len(np.unique(people)) < 2:
            return EQUAL, equal
        part = decisions.assign_parts(people)
        photos = equal.copy()
        for p in range(part.max() + 1):
            photos[part == p] = self.mask[part == p] @ np.array(self._best(part != p))
        names, person = np.unique(people, return_inverse=True)
        gain = np.bincount(person, self._losses(equal) - self._losses(photos), len(names))
        if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
            return EQUAL, equal
        return self._best(np.ones(len(self.truth), bool)), photos

    def _best(self, used: np.ndarray) -> MaskWeights:
        """Return the weights with the lowest log loss on the used photos, bool (N,)."""
        seen = set(self.labels["mask"].to_numpy()[used])
        choices = [CANDIDATES if c in seen else (1.0,) for c in range(1, len(MASK.classes))]

        def loss(weights: MaskWeights) -> float:
            return float(self._losses(self.mask @ np.array(weights))[used].sum())

        return min(((1.0, *others) for others in product(*choices)), key=loss)

    def _losses(self, weights: np.ndarray) -> np.ndarray:
        """Return the log loss of each photo's average, float (N,)."""
        averages = _average(self.probabilities, weights, self.group)
        return -np.log(averages[np.arange(len(self.truth)), self.truth].clip(_FLOOR))


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
    weights: Mapping[str, np.ndarray] | None = None,
) -> dict[str, pd.DataFrame]:
    """Average gender and age predictions over the photos of each person.

    The arithmetic mean of probabilities needs no normalization, and one masked photo with a
    confident error, or in the wrong group, cannot veto the others. The mask differs between photos,
    so 18-class probabilities are first split into the three tasks.

    Args:
        models: name -> predictions, index (set, photo), all with the same photos in the same order:
            probability columns and, if predicted, years.
        groups: columns set, photo and group, with every photo.
        weights: `PhotoWeights.by_photo`; None: all photos count equally.

    Returns:
        name -> the table with averaged columns.
    """
    group = _group_of(next(iter(models.values())).index, groups)
    weights = weights or {task.name: np.ones(len(group)) for task in SHARED}
    return {name: _average_table(table, weights, group) for name, table in models.items()}


def _average_table(
    table: pd.DataFrame, weights: Mapping[str, np.ndarray], group: np.ndarray
) -> pd.DataFrame:
    """Average a table over groups, int (N,), with the weights, float (N,), of each task."""
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
