"""Read the crop store that `portrait18.cropping.builder` writes."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.dataset import tables


class ConcatCrops:
    """Crops of several stores as one array, without a copy.

    Args:
        parts: uint8 (N_i, S, S, 3) each.
    """

    def __init__(self, parts: list[np.ndarray]):
        self.parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])
        self.shape = (int(self.starts[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(key, slice):
            key = np.arange(*key.indices(len(self)))
        rows = np.asarray(key)
        if rows.ndim:
            return np.stack([self._crop(i) for i in rows.tolist()])
        return self._crop(int(rows))

    def _crop(self, i: int) -> np.ndarray:
        part = int(np.searchsorted(self.starts, i, side="right")) - 1
        return self.parts[part][i - self.starts[part]]


def open_memmap(path: Path, shape: tuple[int | None, ...], dtype: type) -> np.ndarray:
    """Open a .npy file as a read-only memory map.

    Args:
        path: the file.
        shape: expected shape; None for any length.
        dtype: expected data type.

    Raises:
        UserError: the file is missing, damaged or holds another array.
    """
    try:
        # Unlike np.load, this never reads an archive or a pickle.
        array = np.lib.format.open_memmap(path, mode="r")
        if array.dtype != dtype or array.ndim != len(shape):
            raise ValueError(f"it holds {array.dtype} of {array.ndim} dimensions")
        for expected, length in zip(shape, array.shape, strict=True):
            if expected not in (None, length):
                raise ValueError(f"its shape is {array.shape}")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except OSError:
        raise
    except Exception as error:  # a damaged header raises half a dozen kinds
        reason = str(error).split("\n")[0]
        raise UserError(f"{path} is damaged ({reason}); {REPAIR_HINT}") from None
    return array


def load(folder: Path, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the crops of a set, a read-only memory map (N, size, size, 3), and their table.

    Args:
        folder: folder of the store.
        name: name of the set, `train` or `eval`.
    """
    table = tables.read(folder / f"{name}.csv")
    return open_memmap(folder / f"{name}.npy", (len(table), None, None, 3), np.uint8), table


def validate_same_photos(table: pd.DataFrame, labels: pd.DataFrame) -> None:
    """Check that crops and labels list the same photos in the same order.

    Args:
        table: data/crops/train.csv.
        labels: data/labels.csv.

    Raises:
        UserError: they differ.
    """
    if not np.array_equal(table.photo, labels.photo):
        raise UserError(
            f"data/crops/train.csv and data/labels.csv list different photos; {REPAIR_HINT}"
        )
