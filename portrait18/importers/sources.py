"""Read the labels of other face data sets: who is in each photo, how old, and what is wrong.

utkface        FOLDER/<age>_<gender>_<race>_<date>.jpg; gender 0 male, 1 female. Zhang et al.,
               "Age Progression/Regression by Conditional Adversarial Autoencoder", 2017
fairface       FOLDER/fairface_label_*.csv: file,age,gender,race; or FOLDER/labels.csv of a
               selection: path,age,gender. Ages are ranges of ten years. Kärkkäinen and Joo,
               "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age", 2021
all-age-faces  FOLDER/<id>A<age>.jpg; ids up to 07380 are female, the others male. Cheng et al.,
               "Exploiting effective facial patches for robust gender recognition", 2019
csv            a CSV with a photo, a gender and an age in each row
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset import omissions, tables
from portrait18.dataset.classes import GENDER, age_group
from portrait18.dataset.layout import EXTENSIONS, is_junk, is_plain_name

OLDEST = 120  # years
#: Source -> prefix of the ids of its people; the competition's ids start with a digit.
PREFIXES = {"utkface": "utk", "fairface": "fair", "all-age-faces": "aaf", "csv": "csv"}
#: Source -> content of train/about.txt, with the attribution that its license asks for.
ABOUT = {
    "utkface": "portraits of UTKFace with drawn masks",
    "fairface": "portraits of FairFace (Karkkainen and Joo, WACV 2021, CC BY 4.0) with drawn masks",
    "all-age-faces": "portraits of All-Age-Faces with drawn masks",
}
_UTK = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_[^_]+")
_UTK_RACES = ("White", "Black", "Asian", "Indian", "Other")
_AAF = re.compile(r"(?P<id>\d{5})A(?P<age>\d{2,3})")
_AAF_FIRST_MALE = 7381
_SUFFIXES = re.compile(r"(\.(jpe?g|png|chip))+$", re.IGNORECASE)
_RACE_BYTES = 40  # id, gender, race and age form a folder name of at most 255 bytes
_AGES = (
    (re.compile(r"(\d{1,3})(?:\.0+)?"), lambda low: (low, low, low)),
    (re.compile(r"(\d{1,3}) ?- ?(\d{1,3})"), lambda low, high: (low, high, (low + high) // 2)),
    (re.compile(r"(?:more than )?(\d{1,3})\+?"), lambda low: (low, OLDEST, min(low + 5, OLDEST))),
)


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


class AgeRange(NamedTuple):
    """An age or a range of ages in years, and the one age that represents it."""

    low: int
    high: int
    middle: int

    @property
    def straddles(self) -> bool:
        """Whether a threshold of the age groups is inside, so that the group is uncertain."""
        return bool(age_group(self.low) != age_group(self.high))


def parse_age(text: str) -> AgeRange:
    """Parse `45`, `20-29` (middle 24), `more than 70` or `70+` (middle 75).

    Raises:
        ValueError: Anything else.
    """
    for pattern, make in _AGES:
        match = pattern.fullmatch(text.strip())
        if match:
            found = AgeRange(*make(*map(int, match.groups())))
            if found.low <= found.high <= OLDEST:
                return found
    raise ValueError(
        f"age {text!r} must be years from 0 to {OLDEST}, a range such as 20-29, or 70+; correct it"
    )


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


def list_people(
    source: str, folder: Path, labels: list[Path], csv_format: CsvFormat, race: str
) -> tuple[pd.DataFrame, list[str]]:
    """List a source's people from its file names or CSV files.

    Args:
        source: one of `PREFIXES`.
        folder: folder with the photos; the paths in a CSV are relative to it.
        labels: CSV files; if empty, fairface_label_*.csv or else labels.csv in `folder`.
        csv_format: format of those files.
        race: race where the source has none.

    Returns:
        A table (photo, id, gender, race, age, low, high; sorted by photo; gender as a word, ages
        in years), and a line for each label that can't be read.

    Raises:
        UserError: No such folder, nothing in it, or no usable CSV.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name the folder with the photos of {source}")
    if source in ("fairface", "csv"):
        files = labels or _find_labels(source, folder)
        rows, problems, listed = _from_csv(files, csv_format, race)
        omissions.warn_unlisted(folder, listed)
    else:
        rows, problems = _from_names(source, folder, race)
    if not rows and not problems:
        raise UserError(
            f"{folder} has no photos of {source}; name the folder that holds the photos themselves"
        )
    rows.sort()
    table = pd.DataFrame(rows, columns=["photo", "gender", "race", "age", "low", "high"])
    table.insert(1, "id", _ids(PREFIXES[source], table.photo.tolist()))
    return table, problems


def _find_labels(source: str, folder: Path) -> list[Path]:
    own = sorted(folder.glob("fairface_label_*.csv")) if source == "fairface" else []
    files = own or sorted(folder.glob("labels.csv"))
    if not files:
        name = "fairface_label_train.csv" if source == "fairface" else "labels.csv"
        raise UserError(f"{folder / name} is missing; put it there or use --labels FILE")
    return files


def _from_names(source: str, folder: Path, race: str) -> tuple[list[tuple], list[str]]:
    rows, problems, left_out = [], [], []
    for file in sorted(folder.iterdir()):
        if is_junk(file):
            continue
        if file.name.startswith(".") or file.suffix.lower() not in EXTENSIONS:
            left_out.append(file)
            continue
        stem = file.name.split(".")[0]  # aligned photos of UTKFace are called ….jpg.chip.jpg
        match = (_UTK if source == "utkface" else _AAF).fullmatch(stem)
        if not match or int(match["age"]) > OLDEST:
            form = (
                "<age>_<0|1>_<race 0-4>_<date>"
                if source == "utkface"
                else "<id>A<age>, e.g. 00000A02"
            )
            problems.append(
                f"{file} does not parse; names of {source} are {form}; rename or remove it"
            )
            continue
        if not is_plain_name(file.name):
            problems.append(f"{file} has a name that no CSV can hold; rename it")
            continue
        if source == "utkface":
            gender, its_race = GENDER.classes[int(match["gender"])], _UTK_RACES[int(match["race"])]
        else:
            gender, its_race = ("female", "male")[int(match["id"]) >= _AAF_FIRST_MALE], race
        rows.append((file.name, gender, its_race, *[int(match["age"])] * 3))
    if left_out:
        omissions.warn(folder, left_out)
    return rows, problems


def _from_csv(
    files: list[Path], csv_format: CsvFormat, race: str
) -> tuple[list[tuple], list[str], set[str]]:
    """Return the rows, a line for each fault, and the photos of all rows."""
    rows: list[tuple] = []
    problems: list[str] = []
    seen: set[str] = set()
    for file in files:
        table = tables.read_user_csv(file, csv_format.columns)
        for line, cells in table.to_dict("index").items():
            texts = {str(column): str(cell) for column, cell in cells.items()}
            row, faults = _parse_row(texts, csv_format, race)
            photo = texts[csv_format.path]
            if not photo or photo in seen:
                faults.insert(0, f"path {photo!r} is empty or appears twice; give each row a photo")
            seen.add(photo)
            problems += [f"{file} line {line}: {fault}" for fault in faults]
            if not faults:
                rows.append(row)
    return rows, problems, seen


def _parse_row(cells: dict[str, str], csv_format: CsvFormat, race: str) -> tuple[tuple, list[str]]:
    """Return (photo, gender, race, age, low, high) and everything that is wrong with a row."""
    faults = []
    photo, word = cells[csv_format.path], cells[csv_format.gender]
    if photo and not _is_inside(photo):
        faults.append(
            f"path {photo!r} must be in the photos' folder, relative to it, without ./ and ../"
        )
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
    return (photo, gender, own or race, age.middle, age.low, age.high), faults


def _is_inside(path: str) -> bool:
    """Return whether a path stays in the folder that it is relative to."""
    return all(map(is_plain_name, path.split("/")))


def _ids(prefix: str, photos: list[str]) -> list[str]:
    """Return an id for each photo, from its path; the layout allows no `_` in an id."""
    ids, taken = [], set()
    for photo in photos:
        slug = re.sub(r"[\W_]+", "-", _SUFFIXES.sub("", photo)).strip("-")[-48:]
        name, n = f"{prefix}-{slug}", 1
        while name.lower() in taken:
            name, n = f"{prefix}-{slug}-{n + 1}", n + 1
        taken.add(name.lower())
        ids.append(name)
    return ids
