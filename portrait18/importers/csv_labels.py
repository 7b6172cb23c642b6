"""Labels in CSV files: FairFace, and tables with a photo, a gender and an age in each row."""

import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from portrait18.core.errors import UserError, printable
from portrait18.dataset import tables
from portrait18.dataset.layout import is_plain_name
from portrait18.importers import photo_paths
from portrait18.importers.ages import AgeRange, parse_age, parse_date
from portrait18.importers.name_labels import Row

_RACE_BYTES = 40  # id, gender, race and age form a folder name of at most 255 bytes
_DELIMITERS = ",;\t"  # Excel writes semicolons where the decimal sign is a comma


@dataclass(frozen=True)
class CsvFormat:
    """Columns of a CSV and its words for the genders; without a column of races `race` is empty."""

    path: str = "path"
    gender: str = "gender"
    age: str = "age"
    race: str = ""
    male: str = "male"
    female: str = "female"

    @property
    def columns(self) -> list[str]:
        """Columns that the CSV must have."""
        return [name for name in (self.path, self.gender, self.age, self.race) if name]

    @property
    def genders(self) -> dict[str, str]:
        """Word in lower case -> male or female."""
        words = {"male": "male", "m": "male", "female": "female", "f": "female"}
        return {**words, self.male.lower(): "male", self.female.lower(): "female"}


FAIRFACE = CsvFormat(path="file", race="race")


def default_format(source: str, folder: Path) -> CsvFormat:
    """Return the columns of a source's own CSV files in a folder."""
    original = source == "fairface" and (
        any(folder.glob("fairface_label_*.csv")) or not (folder / "labels.csv").is_file()
    )
    return FAIRFACE if original else CsvFormat()


def race_problem(race: str) -> str:
    """Return why this can't be the race in a folder's name; empty if it can."""
    if is_plain_name(race) and "_" not in race and len(race.encode()) <= _RACE_BYTES:
        return ""
    return f"race {race!r} must be at most {_RACE_BYTES} bytes without _, / and \\; shorten it"


def find_labels(source: str, folder: Path) -> list[Path]:
    """Return a source's own CSV files in a folder.

    Raises:
        UserError: There is none.
    """
    own = sorted(folder.glob("fairface_label_*.csv")) if source == "fairface" else []
    files = own or sorted(folder.glob("labels.csv"))
    if not files:
        name = "fairface_label_train.csv" if source == "fairface" else "labels.csv"
        raise UserError(f"{folder / name} is missing; put it there or use --labels FILE")
    return files


def list_from_csv(
    files: list[Path], folder: Path, csv_format: CsvFormat, race: str
) -> tuple[list[Row], list[str], set[str]]:
    """Return the rows of CSV files, a line for each fault, and the photos of all rows.

    Commas, semicolons or tabs separate the cells. Prints how absolute paths and ages that a
    spreadsheet has turned into dates are read.
    """
    rows: list[Row] = []
    problems: list[str] = []
    seen: set[str] = set()
    for file in files:
        columns = csv_format.columns
        table = tables.read_user_csv(file, columns, _delimiter(file, columns))
        located = photo_paths.locate(table[csv_format.path].tolist(), folder, file)
        for position, (line, cells) in enumerate(table.to_dict("index").items()):
            texts = {str(column): str(cell) for column, cell in cells.items()}
            photo = located.paths[position]
            row, faults = _parse_row(photo, texts, csv_format, race)
            if position in located.faults:
                faults.insert(0, located.faults[position])
            elif not photo or photo in seen:
                faults.insert(0, f"path {photo!r} is empty or appears twice; give each row a photo")
            seen.add(photo)
            problems += [f"{file} line {line}: {fault}" for fault in faults]
            if not faults:
                rows.append(row)
        for note in [*located.notes, *_date_notes(table[csv_format.age].tolist())]:
            print(printable(f"warning: {file}: {note}"), file=sys.stderr)
    return rows, problems, seen


def _delimiter(file: Path, columns: list[str]) -> str:
    """Return the delimiter that gives the header all columns, else a comma."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            header = next((line for line in stream if line.strip()), "")
        for delimiter in _DELIMITERS:
            if set(columns) <= set(next(csv.reader([header.strip("\r\n")], delimiter=delimiter))):
                return delimiter
    except (OSError, ValueError, csv.Error, StopIteration):
        pass  # read_user_csv names the fault
    return _DELIMITERS[0]


def _date_notes(cells: list[str]) -> list[str]:
    """Return a line on the ages that a spreadsheet has turned into dates."""
    dates = [(cell, age) for cell in cells if (age := parse_date(cell))]
    if not dates:
        return []
    cell, age = dates[0]
    return [
        f"{len(dates)} ages are ranges that a spreadsheet turned into dates, such as {cell!r}, read"
        f" as {age.low}-{age.high}"
    ]


def _parse_row(
    photo: str, cells: dict[str, str], csv_format: CsvFormat, race: str
) -> tuple[Row, list[str]]:
    """Return the row of a photo and everything that is wrong with its labels."""
    faults = []
    word = cells[csv_format.gender]
    gender = csv_format.genders.get(word.strip().lower())
    if gender is None:
        faults.append(
            f"gender {word!r} must be one of {list(csv_format.genders)};"
            " correct it or give the CSV's words by --male and --female"
        )
    age = AgeRange(0, 0, 0)
    try:
        age = parse_age(cells[csv_format.age])
    except ValueError as error:
        faults.append(str(error))
    own = re.sub(r"[\W_]+", " ", cells[csv_format.race] if csv_format.race else "").strip()
    if problem := race_problem(own or race):
        faults.append(problem)
    return (photo, gender or "", own or race, age.middle, age.low, age.high), faults
