"""Which photos to label show the same person: told by a column, or by the same clothes and background.

The assumption behind the second: one person is photographed several times in one sitting, and nobody else
in that place and those clothes. It holds for sets such as the competition's; where many people stand in
front of one wall in one uniform it does not. Faces are not compared.

A photo's descriptor is the coarse picture of the three strips left, right and below the face box. Photos
that are among each other's nearest, and near enough, are linked, and groups grow along the links from
the closest on.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from portrait18 import photos, tables
from portrait18.errors import UserError

GRIDS = ((6, 2), (6, 2), (3, 8))  # rows x columns of the strips left, right and below
CELLS = sum(rows * columns for rows, columns in GRIDS)
NUMBERS = 3 * CELLS
BLOCK = 256  # photos compared with all others at once: 80 MB for 12,600 photos


def descriptor(photo: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """What lies outside the face.

    Args:
        photo: uint8 (H, W, 3), RGB.
        box: x0, y0, x1, y1 of the face in pixels; may reach over the border of the photo.

    Returns:
        int8 (NUMBERS,): colours of the cells of the strips, without most of their mean and with their
        contrast evened out, because light and exposure change between two photos of one sitting.
    """
    height, width = photo.shape[:2]
    x0, _, x1, y1 = box
    edge_x, edge_y = max(1, width // 24), max(1, height // 20)  # a strip is never empty
    left = int(np.clip(round(x0), edge_x, width - 2 * edge_x))
    right = int(np.clip(round(x1), left + edge_x, width - edge_x))
    below = int(np.clip(round(y1), edge_y, height - edge_y))
    strips = photo[:below, :left], photo[:below, right:], photo[below:]
    cells = np.concatenate(
        [
            cv2.resize(np.ascontiguousarray(strip), (columns, rows), interpolation=cv2.INTER_AREA).reshape(-1, 3)
            for strip, (rows, columns) in zip(strips, GRIDS, strict=True)
        ]
    ).astype(np.float64)
    # Some of the mean stays, and plain photos are not stretched to full contrast: both tell people apart.
    evened = (cells - 0.8 * cells.mean(0)) / (cells.std() + 20) * 60
    return np.rint(evened.ravel()).clip(-127, 127).astype(np.int8)


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


def by_likeness(
    inventory: pd.DataFrame, boxes: pd.DataFrame, images: Path, threshold: float, largest: int
) -> np.ndarray:
    """Group of each photo by clothes and background, int64 (N,).

    Args:
        inventory: photo, width (0: can't be decoded; such a photo stays alone).
        boxes: photo, x0, y0, x1, y1 in pixels, in the inventory's order.
        images: folder that the photo names are relative to.
        threshold, largest: see `links` and `join`.
    """
    if boxes.photo.tolist() != inventory.photo.tolist():
        raise UserError("data/crops/eval.csv and data/photos/eval.csv list different photos; run dvc repro crop")
    good = np.flatnonzero(inventory.width > 0)
    names, corners = inventory.photo.to_numpy(), boxes[["x0", "y0", "x1", "y1"]].to_numpy()

    def describe(row: int) -> np.ndarray:
        path = images / names[row]
        try:
            photo = photos.read(path, max_pixels=2**40)  # the inventory has checked the size
        except photos.BadPhoto as error:
            raise UserError(f"{path} {error}; it was well when the photos were listed, run dvc repro check") from None
        return descriptor(photo, tuple(corners[row]))

    with ThreadPoolExecutor() as pool:  # decoding runs outside the interpreter lock
        described = np.array(list(pool.map(describe, good)), np.int8).reshape(-1, NUMBERS)
    return join(len(inventory), good[links(described, threshold, largest)], largest)


def by_column(names: pd.Series, info: Path, column: str) -> np.ndarray:
    """Group of each photo by a column of info.csv, int64 (N,); a photo with an empty cell stays alone.

    Raises:
        UserError: no such column, one that names no people, or a photo without a row.
    """
    told = tables.read_text(info, ["ImageID"])
    able = [c for c in told if c not in ("ImageID", "ans")]
    if column not in able:
        known = f"{info} has {', '.join(able)}" if able else f"{info} has no column but ImageID and ans"
        raise UserError(
            f"params.yaml: group.column = {column!r} is no column that tells people apart; {known};"
            " name one that holds a person on each row, or set group.by to none"
        )
    cells = told.drop_duplicates("ImageID").set_index("ImageID")[column]
    missing = [name for name in names if name not in cells.index]
    if missing:
        raise UserError([f"{info}: no row for {name}; run dvc repro check" for name in missing])
    keys = [f"={cell}" if cell else f"/{name}" for name, cell in zip(names, cells.loc[names], strict=True)]
    return pd.factorize(np.array(keys, object))[0]


def groups(
    inventory: pd.DataFrame, boxes: pd.DataFrame, root: Path, by: str, column: str, threshold: float, largest: int
) -> pd.DataFrame:
    """Which photos to label show the same person.

    Args:
        inventory: `data/photos/eval.csv`.
        boxes: `data/crops/eval.csv`.
        root: the data set's folder, which holds eval/.
        by: `none` (every photo alone), `column` (see `by_column`) or `lookalike` (see `by_likeness`).

    Returns:
        photo, group: numbers from 0 in the order in which the groups appear.
    """
    if by == "column":
        group = by_column(inventory.photo, root / "eval/info.csv", column)
    elif by == "lookalike":
        group = by_likeness(inventory, boxes, root / "eval/images", threshold, largest)
    else:
        group = np.arange(len(inventory))
    return inventory[["photo"]].assign(group=group)


def averaged(table: pd.DataFrame, groups: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """A copy of `table` with the mean of `columns` over each group on all its photos; the rest is untouched.

    The mean is arithmetic: it stays a probability without being normalised, so that columns of several
    tasks can go together, and one photo that is sure and wrong, or in the wrong group, can't veto the rest.

    Args:
        table: photo and probability columns.
        groups: photo, group, for every photo of the table, in any order.
    """
    of_photo = groups.set_index("photo").group.loc[table.photo].to_numpy()
    return table.assign(**table[columns].groupby(of_photo).transform("mean"))
