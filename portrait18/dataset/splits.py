"""Folds of people, stratified by gender and age group; no person is in two folds."""

import unicodedata
from collections.abc import Iterable

import numpy as np
import pandas as pd

from portrait18.core.data_params import SplitParams
from portrait18.core.errors import UserError

#: `folds: 1` is one fold of five: an 8:2 split.
FOLDS_OF_SINGLE_SPLIT = 5


def assign_folds(labels: pd.DataFrame, params: SplitParams, listed: Iterable[str]) -> pd.DataFrame:
    """Assign a fold to each unit: a person, or a photo with `by: photo`.

    The units of a stratum are in the order in which train.csv lists their people. They are dealt
    in blocks of as many units as folds, each block in its own random order. So every fold gets its
    share of every stratum to within one, and people appended to train.csv leave the folds of all
    others unchanged. (Removing people, or moving them to another stratum, does not.)

    Args:
        labels: data/labels.csv.
        params: the `split` section.
        listed: ids of the people in the order of train.csv; an id may occur twice.

    Returns:
        Table (person or photo, fold), sorted by the first column. With `folds: 1`, fold -1 is the
        training part. Extra people get no row.

    Raises:
        UserError: too few people.
    """
    # Ids of labels are in NFC, see `layout.Person`.
    ids = dict.fromkeys(unicodedata.normalize("NFC", person) for person in listed)
    position = {person: i for i, person in enumerate(ids)}
    units = labels[labels.extra == 0].sort_values("photo").drop_duplicates(params.by)
    units = units.assign(position=units.person.map(position)).sort_values(["position", params.by])
    block = params.folds if params.folds > 1 else FOLDS_OF_SINGLE_SPLIT
    if len(units) < 2 * block:
        fix = "add people"
        if params.folds > 1:
            fix = f"lower split.folds = {params.folds} or {fix}"
        raise UserError(
            f"{len(units)} {params.by}s are too few to split, at least {2 * block} are needed;"
            f" {fix}"
        )
    fold = _deal(units, block, params.seed)
    empty = set(range(params.folds)) - set(fold)
    if empty or fold.nunique() < 2:
        raise UserError(
            f"{len(units)} {params.by}s are too few for split.folds = {params.folds}:"
            f" fold {min(empty, default=1)} is empty; add people, lower split.folds or try another"
            " split.seed"
        )
    if params.folds == 1:
        fold = fold.where(fold == 0, -1)
    return units[[params.by]].assign(fold=fold).sort_values(params.by, ignore_index=True)


def _deal(units: pd.DataFrame, block: int, seed: int) -> pd.Series:
    """Return the fold of each unit, 0 to `block` - 1; see `assign_folds`."""
    fold = pd.Series(-1, index=units.index)
    strata = units.gender.to_numpy(), units.age_group.to_numpy()
    for gender, age in np.unique(strata, axis=1).T.tolist():
        stratum = units.index[(strata[0] == gender) & (strata[1] == age)]
        rng = np.random.default_rng([seed, gender, age])
        for start in range(0, len(stratum), block):
            rows = stratum[start : start + block]
            fold[rows] = rng.permutation(block)[: len(rows)]
    return fold


def photo_folds(labels: pd.DataFrame, folds: pd.DataFrame) -> np.ndarray:
    """Return the fold in which each photo is in the validation set.

    Args:
        labels: data/labels.csv.
        folds: data/folds.csv.

    Returns:
        int64 (N,); -1 for photos that are never validated.

    Raises:
        UserError: a photo has no fold.
    """
    by = folds.columns[0]
    fold = labels[by].map(folds.set_index(by).fold).mask(labels.extra == 1, -1)
    if fold.isna().any():
        raise UserError(
            f"data/folds.csv has no {by} {labels[by][fold.isna()].iloc[0]}; run dvc repro split"
        )
    return fold.to_numpy(np.int64)
