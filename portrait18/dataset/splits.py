"""Folds of people, stratified on gender x age group: no person stands on both sides of a split."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
from portrait18.core.params import SplitParams

HOLD_OUT_OF = 5  # folds: 1 holds out one person in five (8:2)


def assign_folds(labels: pd.DataFrame, params: SplitParams, listed: Iterable[str]) -> pd.DataFrame:
    """Give each unit (person, or photo with `by: photo`) the fold in which it is held out.

    Within a stratum, units stand in the order in which their people are listed and are dealt out in
    blocks of as many as there are folds, each block in a random order of its own. So every fold holds
    its share of every stratum to within one, and people whose rows are added at the end, whatever their
    ids, leave the others where they are. (Taking people out, or moving them to another stratum, does not.)

    Args:
        listed: ids of the people in the order of train.csv; one may come twice.

    Returns:
        Table (person or photo, fold); fold -1 is never held out (`folds: 1` uses one fifth). Extra
        people are in no fold.
    """
    place = {person: i for i, person in enumerate(dict.fromkeys(listed))}
    units = labels[labels.extra == 0].sort_values("photo").drop_duplicates(params.by)
    units = units.assign(place=units.person.map(place)).sort_values(["place", params.by])
    blocks = params.folds if params.folds > 1 else HOLD_OUT_OF
    if len(units) < 2 * blocks:
        lower = "" if params.folds == 1 else f" for {params.folds} folds; lower split.folds or"
        raise UserError(
            f"{len(units)} {params.by}s are too few{lower or ' to hold any out;'} add people"
        )
    fold = pd.Series(-1, index=units.index)
    for (gender, age), stratum in units.groupby(["gender", "age_group"]):
        rng = np.random.default_rng([params.seed, gender, age])
        for at in range(0, len(stratum), blocks):
            rows = stratum.index[at : at + blocks]
            fold[rows] = rng.permutation(blocks)[: len(rows)]
    empty = set(range(params.folds)) - set(fold)
    if empty or fold.nunique() < 2:
        raise UserError(
            f"{len(units)} {params.by}s are too few for split.folds = {params.folds}: fold {min(empty, default=1)} is"
            " empty; add people, lower split.folds or try another split.seed"
        )
    if params.folds == 1:
        fold = fold.where(fold == 0, -1)
    return units[[params.by]].assign(fold=fold).sort_values(params.by, ignore_index=True)


def photo_folds(labels: pd.DataFrame, folds: pd.DataFrame) -> np.ndarray:
    """Fold in which each photo is held out, int (N,), in the order of `labels`; -1: in none."""
    by = folds.columns[0]
    fold = labels[by].map(folds.set_index(by).fold).mask(labels.extra == 1, -1)
    if fold.isna().any():
        raise UserError(
            f"data/folds.csv has no {by} {labels[by][fold.isna()].iloc[0]}; run dvc repro split"
        )
    return fold.to_numpy(np.int64)
