"""Which photos to label show the same person: told by a column, or by the same clothes and background.

The assumption behind the second: one person is photographed several times in one sitting, and nobody else
in that place and those clothes. It holds for sets such as the competition's; where many people stand in
front of one wall in one uniform it does not. Faces are not compared.

A photo's descriptor is the coarse picture of what lies around the face (`portrait18.cropping.context`). Photos
that are among each other's nearest, and near enough, are linked, and groups grow along the links from
the closest on.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
from portrait18.core.params import GroupParams
from portrait18.dataset import tables
from portrait18.dataset.classes import AGE, ALL, GENDER, TASKS, marginals

BLOCK = 256  # photos compared with all others at once: 80 MB for 12,600 photos


def nearest(descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other rows of each row, among equals the first.

    Args:
        descriptors: int8 (N, D), D at most 250.
        count: how many, less than N.

    Returns:
        Rows, int64 (N, count), nearest first, and their squared distances, int64 (N, count). Exact, so the
        same on every machine: float32 holds whole numbers up to 2**24, and no sum here is larger.
    """
    total = len(descriptors)
    exact = descriptors.astype(np.float32)
    squares = (exact**2).sum(1)
    rows, distances = np.empty((2, total, count), np.int64)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        block = squares[start:stop, None] + squares - 2 * (exact[start:stop] @ exact.T)
        block[np.arange(stop - start), np.arange(start, stop)] = 2**24  # not itself
        key = block.astype(np.int64) * total + np.arange(total)
        key = np.sort(np.partition(key, count - 1, axis=1)[:, :count], axis=1)
        distances[start:stop], rows[start:stop] = key // total, key % total
    return rows, distances


def links(descriptors: np.ndarray, threshold: float, largest: int) -> np.ndarray:
    """Pairs of rows that are among each other's `largest` - 1 nearest, closest pair first, int64 (L, 2).

    Args:
        threshold: largest root mean square difference of two linked descriptors.
    """
    total = len(descriptors)
    count = min(largest, total) - 1
    if count < 1:
        return np.empty((0, 2), np.int64)
    rows, distances = nearest(descriptors, count)
    one, other, distance = np.repeat(np.arange(total), count), rows.ravel(), distances.ravel()
    mutual = np.isin(one * total + other, other * total + one)
    kept = mutual & (one < other) & (distance <= threshold**2 * descriptors.shape[1])
    order = np.lexsort((other[kept], one[kept], distance[kept]))
    return np.stack([one[kept], other[kept]], 1)[order]


def join(total: int, links: np.ndarray, largest: int) -> np.ndarray:
    """Group of each of `total` rows, int64 (total,): single linkage in the order of the links (Kruskal 1956).

    A link that would make a group larger than `largest` is passed over. So where a chance likeness bridges
    two people, both keep their own closer links; leaving all of them ungrouped would lose two people for it.
    """
    parent, size = list(range(total)), [1] * total

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in links.tolist():
        a, b = root(one), root(other)
        if a != b and size[a] + size[b] <= largest:
            parent[b] = a
            size[a] += size[b]
    return pd.factorize(np.array([root(row) for row in range(total)], np.int64))[0]


def by_descriptor(around: np.ndarray, threshold: float, largest: int) -> np.ndarray:
    """Group of each photo by clothes and background, int64 (N,).

    Args:
        around: int8 (N, NUMBERS), see `portrait18.cropping.context`; a row of zeros, of a photo that can't be
            decoded, stays alone.
        threshold, largest: see `links` and `join`.
    """
    good = np.flatnonzero(around.any(1))
    return join(len(around), good[links(around[good], threshold, largest)], largest)


def by_column(names: pd.Series, info: Path, column: str) -> np.ndarray:
    """Group of each photo by a column of info.csv, int64 (N,); a photo with an empty cell stays alone.

    Raises:
        UserError: no such column, one that names no people, or a photo without a row.
    """
    told = tables.read_user_csv(info, ["ImageID"])
    able = [c for c in told if c not in ("ImageID", "ans")]
    if column not in able:
        known = (
            f"{info} has {', '.join(able)}" if able else f"{info} has no column but ImageID and ans"
        )
        raise UserError(
            f"params.yaml: group.column = {column!r} is no column that tells people apart; {known};"
            " name one that holds a person on each row, or set group.by to none"
        )
    cells = told.drop_duplicates("ImageID").set_index("ImageID")[column]
    missing = [name for name in names if name not in cells.index]
    if missing:
        raise UserError([f"{info}: no row for {name}; run dvc repro check" for name in missing])
    keys = [
        f"={cell}" if cell else f"/{name}"
        for name, cell in zip(names, cells.loc[names].str.strip(), strict=True)
    ]
    return pd.factorize(np.array(keys, object))[0]


def groups(
    inventory: pd.DataFrame, around: np.ndarray, info: Path, params: GroupParams
) -> np.ndarray:
    """Group of each photo of a set, int64 (N,): numbers from 0 in the order in which the groups appear.

    Args:
        inventory: `data/photos/<set>.csv`; where it tells persons, as that of the training photos does,
            `by: column` takes them.
        around: `data/crops/<set>_context.npy`.
        info: info.csv of the photos to label.
    """
    if params.by == "column":
        if "person" in inventory:
            return pd.factorize(inventory.person)[0]
        return by_column(inventory.photo, info, params.column)
    if params.by == "near_duplicate":
        return by_descriptor(around, params.threshold, params.max_size)
    return np.arange(len(inventory))


def average_over_groups(table: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Predictions with what photos of one person share, gender and age, averaged over the group.

    The mean is arithmetic: it stays a probability without being normalized, and one photo that is sure
    and wrong, or in the wrong group, can't veto the rest. Answers over the 18 classes are taken apart into
    the three tasks first: the mask is each photo's own.

    Args:
        table: index (set, photo); probability columns, and years where they are told.
        groups: set, photo, group, for every photo of the table.
    """
    if ALL.columns[0] in table:
        parts = marginals(table[ALL.columns].to_numpy())
        apart = {
            c: p
            for task in TASKS.values()
            for c, p in zip(task.columns, parts[task.name].T, strict=True)
        }
        table = table.drop(columns=ALL.columns).assign(**apart)
    shared = [c for c in [*GENDER.columns, *AGE.columns, "years"] if c in table]
    of_photo = groups.set_index(["set", "photo"]).group.loc[table.index].to_numpy()
    means = table[shared].groupby([table.index.get_level_values("set"), of_photo]).transform("mean")
    return table.assign(**means)
