"""Groups of photos that show the same person: by a column, or as near duplicates.

Near duplicates have the same clothes and background. The assumption is that a person is
photographed several times in one sitting, and nobody else in the same place and clothes. It holds
for sets such as the competition's, not where many people wear a uniform in front of one wall.
Faces are not compared.

Photos are compared by their context descriptors (`portrait18.cropping.context`). Photos that are
among each other's nearest neighbors, and near enough, are linked. Groups grow along the links,
starting with the closest.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
from portrait18.core.params import GroupParams
from portrait18.dataset.inventory import read_column

BLOCK = 256  # photos compared with all others at once: 80 MB for 12,600 photos


def nearest_neighbors(descriptors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest other rows of each row; ties go to the lower row.

    The result is exact, so it is the same on every machine: float32 holds integers up to 2**24,
    and no sum here is larger.

    Args:
        descriptors: int8 (N, D), D at most 250.
        count: neighbors per row, less than N.

    Returns:
        Rows, int64 (N, count), nearest first, and their squared distances, int64 (N, count).
    """
    total = len(descriptors)
    exact = descriptors.astype(np.float32)
    squares = (exact**2).sum(1)
    rows, distances = np.empty((2, total, count), np.int64)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        block = squares[start:stop, None] + squares - 2 * (exact[start:stop] @ exact.T)
        block[np.arange(stop - start), np.arange(start, stop)] = 2**24  # exclude the row itself
        key = block.astype(np.int64) * total + np.arange(total)
        key = np.sort(np.partition(key, count - 1, axis=1)[:, :count], axis=1)
        distances[start:stop], rows[start:stop] = key // total, key % total
    return rows, distances


def mutual_links(descriptors: np.ndarray, threshold: float, max_size: int) -> np.ndarray:
    """Return pairs of rows that are among each other's `max_size` - 1 nearest neighbors.

    Args:
        descriptors: int8 (N, D).
        threshold: largest root mean square difference of two linked descriptors.
        max_size: size of the largest group.

    Returns:
        int64 (L, 2), closest pair first.
    """
    total = len(descriptors)
    count = min(max_size, total) - 1
    if count < 1:
        return np.empty((0, 2), np.int64)
    rows, distances = nearest_neighbors(descriptors, count)
    one, other, distance = np.repeat(np.arange(total), count), rows.ravel(), distances.ravel()
    mutual = np.isin(one * total + other, other * total + one)
    kept = mutual & (one < other) & (distance <= threshold**2 * descriptors.shape[1])
    order = np.lexsort((other[kept], one[kept], distance[kept]))
    return np.stack([one[kept], other[kept]], 1)[order]


def join_links(total: int, links: np.ndarray, max_size: int) -> np.ndarray:
    """Group rows by single linkage in the order of the links (Kruskal 1956).

    A link that would make a group larger than `max_size` is skipped. So if two people happen to be
    linked, both keep their own closer links.

    Args:
        total: number of rows.
        links: int64 (L, 2), pairs of rows.
        max_size: size of the largest group.

    Returns:
        Group of each row, int64 (total,).
    """
    parent, size = list(range(total)), [1] * total

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in links.tolist():
        a, b = root(one), root(other)
        if a != b and size[a] + size[b] <= max_size:
            parent[b] = a
            size[a] += size[b]
    return pd.factorize(np.array([root(row) for row in range(total)], np.int64))[0]


def by_descriptor(descriptors: np.ndarray, threshold: float, max_size: int) -> np.ndarray:
    """Group photos by clothes and background.

    Args:
        descriptors: int8 (N, LENGTH), see `portrait18.cropping.context`; a row of zeros, of a
            photo that cannot be decoded, forms its own group.
        threshold: see `mutual_links`.
        max_size: size of the largest group.

    Returns:
        Group of each photo, int64 (N,).
    """
    valid = np.flatnonzero(descriptors.any(1))
    links = valid[mutual_links(descriptors[valid], threshold, max_size)]
    return join_links(len(descriptors), links, max_size)


def by_column(names: pd.Series, info: Path, column: str) -> np.ndarray:
    """Group photos by a column of info.csv; a photo with an empty cell forms its own group.

    Args:
        names: file names of the photos.
        info: info.csv.
        column: name of the column.

    Returns:
        Group of each photo, int64 (N,).

    Raises:
        UserError: see `read_column`; or a photo without a row.
    """
    cells = read_column(info, column)
    missing = [name for name in names if name not in cells]
    if missing:
        raise UserError([f"{info}: no row for {name}; run dvc repro check" for name in missing])
    keys = [f"={cells[name]}" if cells[name] else f"/{name}" for name in names]
    return pd.factorize(np.array(keys, object))[0]


def groups(
    inventory: pd.DataFrame, descriptors: np.ndarray, info: Path, params: GroupParams
) -> np.ndarray:
    """Group the photos of a set by person.

    Args:
        inventory: data/photos/<set>.csv; with `by: column`, its column `person` is preferred.
        descriptors: data/crops/<set>_context.npy.
        info: info.csv of the evaluation set.
        params: the `group` section.

    Returns:
        Group of each photo, int64 (N,), numbered from 0 in order of appearance.
    """
    if params.by == "column":
        if "person" in inventory:
            return pd.factorize(inventory.person)[0]
        return by_column(inventory.photo, info, params.column)
    if params.by == "near_duplicate":
        return by_descriptor(descriptors, params.threshold, params.max_size)
    return np.arange(len(inventory))
