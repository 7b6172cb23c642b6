"""Reading the crop store that `portrait18.crops` builds."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18 import tables
from portrait18.errors import UserError


class Joined:
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


def load(folder: Path, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """The crops of a set as a read-only memory map (N, size, size, 3), and their table."""
    try:
        pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise UserError(f"{folder / name}.npy is damaged ({error}); delete it and run dvc repro") from None
    return pixels, tables.read(folder / f"{name}.csv")
