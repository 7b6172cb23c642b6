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
    path = folder / f"{name}.npy"
    try:
        pixels = np.load(path, mmap_mode="r")
        path = path.with_suffix(".csv")
        table = tables.read(path)
    except OSError:
        raise
    except Exception as error:  # NumPy reads its header as Python, so a damaged one raises anything
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}); delete it and run dvc repro") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != len(table) or "photo" not in table:
        told = f"{len(table)} rows beside {pixels.dtype} {pixels.shape}"
        raise UserError(f"{path} is damaged ({told}); delete it and run dvc repro")
    return pixels, table
