"""Reading CSV files: the user's as text, checked; the pipeline's own with the types they were written with."""

import io
from pathlib import Path

import pandas as pd

from portrait18.errors import REMAKE, UserError

_TEXT = dict.fromkeys(("photo", "folder", "person", "digest", "set"), str)


def read(path: str | Path) -> pd.DataFrame:
    """Read a table; names and ids stay text (`000001` is no number, and `NA` is no missing value).

    Raises:
        UserError: no such file, or one that `files.write_csv` did not write to its end.
    """
    try:
        data = Path(path).read_bytes()
        if not data.endswith(b"\n"):
            raise ValueError("its end is cut off")
        return pd.read_csv(io.BytesIO(data), dtype=_TEXT, keep_default_na=False, na_values={"years": [""]})
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except ValueError as error:  # pandas' own among them
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}); {REMAKE}") from None


def read_text(path: str | Path, columns: list[str]) -> pd.DataFrame:
    """Read a user's CSV, every cell as text.

    Raises:
        UserError: no such file, not a CSV, rows longer than the header, or one of `columns` missing.
    """
    header = ",".join(columns)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a CSV with the columns {header}") from None
    except (ValueError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} is not a readable CSV ({reason}); save it as UTF-8 with a header line {header}"
        ) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what the rows have too much for an index
        raise UserError(f"{path} has rows with more cells than its header; expected {header}, quote cells with commas")
    missing = [c for c in columns if c not in table]
    if missing:
        raise UserError(f"{path} has columns {list(table.columns)}, {missing} missing; expected {header}")
    return table
