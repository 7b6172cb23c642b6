"""Reading the pipeline's CSV files with the types they were written with."""

from pathlib import Path

import pandas as pd

_TEXT = dict.fromkeys(("photo", "folder", "person", "digest", "set"), str)


def read(path: str | Path) -> pd.DataFrame:
    """Read a table; names and ids stay text (`000001` is no number, and `NA` is no missing value)."""
    return pd.read_csv(path, dtype=_TEXT, keep_default_na=False, na_values={"years": [""]})
