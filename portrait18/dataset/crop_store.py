"""Reading the crop store that `portrait18.cropping.builder` builds."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.dataset import tables


class ConcatCrops:
    """Crops of several stores one behind the other, read where they lie: (N, S, S, 3) to whoever indexes it."""

    def __init__(self, parts: list[np.ndarray]):
        self.parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])
        self.shape = (int(self.starts[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(key, slice):
            key = np.arange(*key.indices(len(self)))
        if np.ndim(key):
            return np.stack([self[i] for i in key])
        part = int(np.searchsorted(self.starts, key, side="right")) - 1
        return self.parts[part][key - self.starts[part]]


def open_memmap(path: Path, shape: tuple[int | None, ...], dtype: type) -> np.ndarray:
    """A .npy file as a read-only memory map; `UserError` if it holds anything but such an array.

    Args:
        shape: None for a side of any length.
    """
    try:
        array = np.lib.format.open_memmap(
            path, mode="r"
        )  # unlike np.load never an archive, never a pickle
        if array.dtype != dtype or array.ndim != len(shape):
            raise ValueError(f"it holds {array.dtype} of {array.ndim} dimensions")
        if any(wanted not in (None, side) for wanted, side in zip(shape, array.shape, strict=True)):
            raise ValueError(f"its shape is {array.shape}")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except OSError:
        raise
    except Exception as error:  # a header of garbage raises half a dozen kinds
        raise UserError(f"{path} is damaged ({_first_line(error)}); {REPAIR_HINT}") from None
    return array


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]


def load(folder: Path, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """The crops of a set as a read-only memory map (N, size, size, 3), and their table."""
    table = tables.read(folder / f"{name}.csv")
    return open_memmap(folder / f"{name}.npy", (len(table), None, None, 3), np.uint8), table


def validate_same_photos(table: pd.DataFrame, labels: pd.DataFrame) -> None:
    """`UserError` unless the crops to train on and the labels stand row for row."""
    if not np.array_equal(table.photo, labels.photo):
        raise UserError(
            f"data/crops/train.csv and data/labels.csv list different photos; {REPAIR_HINT}"
        )
