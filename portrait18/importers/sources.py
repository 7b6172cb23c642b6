"""Labels of other people's face data sets: who is on which photo, how old, and what is wrong with the labels.

utkface        FOLDER/<age>_<gender>_<race>_<date>.jpg; gender 0 male, 1 female. Zhang et al., "Age
               Progression/Regression by Conditional Adversarial Autoencoder", 2017
fairface       FOLDER/fairface_label_*.csv: file,age,gender,race; ages are ranges. Kärkkäinen and Joo, "FairFace:
               Face Attribute Dataset for Balanced Race, Gender, and Age", 2021
all-age-faces  FOLDER/<id>A<age>.jpg; ids to 07380 female, the others male. Cheng et al., "Exploiting effective
               facial patches for robust gender recognition", 2019
csv            a CSV with a photo, a gender and an age in each row
"""

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.classes import GENDER, age_group
from portrait18.dataset.layout import EXTENSIONS, is_plain_name

OLDEST = 120  # years
#: Source -> what the ids of its people start with; the competition's start with a digit.
PREFIXES = {"utkface": "utk", "fairface": "fair", "all-age-faces": "aaf", "csv": "csv"}
_UTK = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_[^_]+")
_UTK_RACES = ("White", "Black", "Asian", "Indian", "Other")
_AAF = re.compile(r"(?P<id>\d{5})A(?P<age>\d{2,3})")
_AAF_FIRST_MALE = 7381
_SUFFIXES = re.compile(r"(\.(jpe?g|png|chip))+$", re.IGNORECASE)
_RACE_BYTES = 40  # a folder is named by id, gender, race and age, in 255 bytes
_AGES = (
    (re.compile(r"(\d{1,3})(?:\.0+)?"), lambda low: (low, low, low)),
    (re.compile(r"(\d{1,3}) ?- ?(\d{1,3})"), lambda low, high: (low, high, (low + high) // 2)),
    (re.compile(r"(?:more than )?(\d{1,3})\+?"), lambda low: (low, OLDEST, min(low + 5, OLDEST))),
)


class Columns(NamedTuple):
    """Names of a CSV's columns, and its words for the genders; race may be empty: there is none."""

    path: str = "path"
    gender: str = "gender"
    age: str = "age"
    race: str = ""
    male: str = "male"
    female: str = "female"


class Years(NamedTuple):
    """An age or a range of ages, and the one age that stands for it."""

    low: int
    high: int
    middle: int

    @property
    def straddles(self) -> bool:
        """Whether a border of the age groups lies inside the range, so that no group is sure."""
        return bool(age_group(self.low) != age_group(self.high))


def years(text: str) -> Years:
    """`45`, `20-29` (middle 24), `more than 70` or `70+` (middle 75) -> `Years`; ValueError for anything else."""
    for pattern, make in _AGES:
        match = pattern.fullmatch(text.strip())
        if match:
            found = Years(*make(*map(int, match.groups())))
            if found.low <= found.high <= OLDEST:
                return found
    raise ValueError(
        f"age {text!r} must be years from 0 to {OLDEST}, a range such as 20-29, or 70+; correct it"
    )


def race_fault(race: str) -> str:
    """Why this can't be the race in a folder's name; empty if it can."""
    if is_plain_name(race) and "_" not in race and len(race.encode()) <= _RACE_BYTES:
        return ""
    return f"race {race!r} must be at most {_RACE_BYTES} bytes without _, / and \\; shorten it"


def contradictions(people: pd.DataFrame) -> dict[str, str]:
    """File -> line for each photo that is there twice with another gender or age group.

    Args:
        people: photo, gender, age, and of `inventory.probe` images, width and digest.
    """
    good = people[people.width > 0].assign(group=lambda table: age_group(table.age))
    found = {}
    for _, same in good.groupby("digest"):
        if len(same[["gender", "group"]].drop_duplicates()) > 1:
            for row, other in zip(
                same.itertuples(), [*same.photo[1:], same.photo.iloc[0]], strict=True
            ):
                line = f"{row.images}/{row.photo} ({row.gender}, {row.age}) is the same file as {other}"
                found[row.photo] = f"{line}, of another gender or age group; one of them is wrong"
    return found


def _inside(path: str) -> bool:
    """Whether a path stays in the folder that it is relative to."""
    return all(map(is_plain_name, path.split("/")))


def list_people(
    source: str, folder: Path, labels: list[Path], columns: Columns, race: str
) -> tuple[pd.DataFrame, list[str]]:
    """List a source's people by what its file names or CSV files say.

    Args:
        source: one of `PREFIXES`.
        folder: the folder with the photos, or that the CSV's paths are relative to.
        labels: CSV files; if empty, fairface_label_*.csv or labels.csv in `folder`.
        columns: of those CSV files.
        race: what is written where the source tells none.

    Returns:
        A table (photo, id, gender, race, age, low, high; sorted by photo; gender a word, ages in
        years), and a line for each label that can't be read.

    Raises:
        UserError: no such folder, nothing in it, or no usable CSV.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name the folder with the photos of {source}")
    if source in ("fairface", "csv"):
        files = labels or sorted(
            folder.glob("fairface_label_*.csv" if source == "fairface" else "labels.csv")
        )
        if not files:
            name = "fairface_label_train.csv" if source == "fairface" else "labels.csv"
            raise UserError(
                f"{folder / name} is missing; put it there or name the CSV by --labels FILE"
            )
        rows, problems = _from_csv(files, columns, race)
    else:
        rows, problems = _from_names(source, folder, race)
    if not rows and not problems:
        raise UserError(
            f"{folder}: nothing of {source} in it; name the folder that holds the photos themselves"
        )
    rows.sort()
    table = pd.DataFrame(rows, columns=["photo", "gender", "race", "age", "low", "high"])
    table.insert(1, "id", _ids(PREFIXES[source], table.photo.tolist()))
    return table, problems


def _from_names(source: str, folder: Path, race: str) -> tuple[list, list[str]]:
    rows, problems = [], []
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or file.suffix.lower() not in EXTENSIONS:
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
            gender, told = GENDER.classes[int(match["gender"])], _UTK_RACES[int(match["race"])]
        else:
            gender, told = ("female", "male")[int(match["id"]) >= _AAF_FIRST_MALE], race
        rows.append((file.name, gender, told, *[int(match["age"])] * 3))
    return rows, problems


def _from_csv(files: list[Path], columns: Columns, race: str) -> tuple[list, list[str]]:
    rows, problems, seen = [], [], set()
    genders = {"male": "male", "m": "male", "female": "female", "f": "female"}
    genders |= {columns.male.lower(): "male", columns.female.lower(): "female"}
    for file in files:
        wanted = [c for c in (columns.path, columns.gender, columns.age, columns.race) if c]
        for row in tables.read_user_csv(file, wanted).to_dict("index").items():
            line, cells = f"{file} line {row[0]}", row[1]
            photo, faults = cells[columns.path], []
            gender = genders.get(cells[columns.gender].strip().lower())
            if not photo or photo in seen:
                faults.append(
                    f"path {photo!r} is empty or there twice; each row needs a photo of its own"
                )
            elif not _inside(photo):
                faults.append(
                    f"path {photo!r} must lie in the photos' folder, told from there without ./ and ../"
                )
            if gender is None:
                faults.append(
                    f"gender {cells[columns.gender]!r} must be one of {list(genders)};"
                    " correct it or name the CSV's words by --male and --female"
                )
            try:
                age = years(cells[columns.age])
            except ValueError as error:
                faults.append(str(error))
            told = (
                re.sub(r"[\W_]+", " ", cells[columns.race] if columns.race else "").strip() or race
            )
            if fault := race_fault(told):
                faults.append(fault)
            seen.add(photo)
            problems += [f"{line}: {fault}" for fault in faults]
            if not faults:
                rows.append((photo, gender, told, age.middle, age.low, age.high))
    return rows, problems


def _ids(prefix: str, photos: list[str]) -> list[str]:
    """An id for each photo, from its path; the layout allows no `_` in one."""
    ids, taken = [], set()
    for photo in photos:
        slug = re.sub(r"[\W_]+", "-", _SUFFIXES.sub("", photo)).strip("-")[-48:]
        name, n = f"{prefix}-{slug}", 1
        while name.lower() in taken:
            name, n = f"{prefix}-{slug}-{n + 1}", n + 1
        taken.add(name.lower())
        ids.append(name)
    return ids
