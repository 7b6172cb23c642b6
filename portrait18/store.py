"""Reading the crop store that `portrait18.crops` builds."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18 import tables
from portrait18.errors import UserError


def load(folder: Path, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """The crops of a set as a read-only memory map (N, size, size, 3), and their table."""
    try:
        pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise UserError(f"{folder / name}.npy is damaged ({error}); delete it and run dvc repro") from None
    return pixels, tables.read(folder / f"{name}.csv")
