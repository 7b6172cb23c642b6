"""CSV files: the user's, read as text and checked, and the pipeline's own, read with types."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import atomic_write
from portrait18.dataset.alignment import POINT_COLUMNS

_TEXT_COLUMNS = dict.fromkeys(("photo", "folder", "person", "digest", "set"), str)
_MAY_BE_EMPTY = {name: [""] for name in ("years", *POINT_COLUMNS)}


def read(path: str | Path) -> pd.DataFrame:
    """Read a table of the pipeline; names and ids stay text (`000001`, `NA`).

    Args:
        path: a file that `write_csv` wrote.

    Raises:
        UserError: missing or damaged.
    """
    try:
        data = Path(path).read_bytes()
        if not data.endswith(b"\n"):
            raise ValueError("its end is missing")
        return pd.read_csv(
            io.BytesIO(data), dtype=_TEXT_COLUMNS, keep_default_na=False, na_values=_MAY_BE_EMPTY
        )
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except ValueError as error:  # includes those of pandas
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is damaged ({reason}); {REPAIR_HINT}") from None


def read_user_csv(path: str | Path, columns: list[str], delimiter: str = ",") -> pd.DataFrame:
    """Read a CSV file written by the user, all cells as text.

    Args:
        path: the file.
        columns: required columns.
        delimiter: character between cells.

    Returns:
        The rows without empty lines; the index is the line on which a row starts, from 1.

    Raises:
        UserError: no such file, not CSV in UTF-8, a row with more or fewer cells than the header,
            a repeated column, or a missing one of `columns`.
    """
    expected = ",".join(columns)
    try:
        header, *rows = _rows(Path(path), delimiter)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; expected a CSV with the columns {expected}"
        ) from None
    except IsADirectoryError:
        raise UserError(
            f"{path} is a folder; replace it by a CSV with the columns {expected}"
        ) from None
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is not a readable CSV ({error});"
            f" save it as UTF-8 with a header line {expected}"
        ) from None
    names = header.cells
    missing = [c for c in columns if c not in names]
    if missing:
        raise UserError(f"{path} has columns {names}, {missing} missing; expected {expected}")
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    problems = [f"{path} has two columns {name!r}; keep one" for name in repeated]
    problems += [
        f"{path} line {row.line} has {len(row.cells)} cells, its header {len(names)};"
        " give each column one, quote cells with commas"
        for row in rows
        if len(row.cells) != len(names)
    ]
    if problems:
        raise UserError(problems)
    table = pd.DataFrame([row.cells for row in rows], [row.line for row in rows], names, dtype=str)
    return table.loc[:, [bool(name) for name in names]]


class _Row(NamedTuple):
    line: int  # of the file, from 1
    cells: list[str]


def _rows(path: Path, delimiter: str) -> list[_Row]:
    """Return all rows that are not empty, at least one; ValueError or csv.Error otherwise."""
    found, line = [], 1
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True, delimiter=delimiter)
        try:
            for cells in reader:
                if "\0" in "".join(cells):
                    raise csv.Error("a zero byte")
                if "".join(cells).strip() or len(cells) > 1:
                    found.append(_Row(line, cells))
                line = reader.line_num + 1
        except csv.Error as error:
            raise csv.Error(f"line {line}: {error}") from None
    if not found:
        raise ValueError("it is empty")
    return found


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index; floats with seven significant digits."""
    with atomic_write(path) as tmp_path:
        table.to_csv(tmp_path, index=False, float_format="%.7g", lineterminator="\n")
