"""Labels in file names: UTKFace and All-Age-Faces.

Subfolders are searched too: public code has UTKFace's photos in the wild in part1, part2 and part3,
and All-Age-Faces documents `original images` and `aligned faces` of the same people. docs/data.md
names the sources.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from portrait18.core.errors import UserError
from portrait18.dataset import omissions
from portrait18.dataset.classes import GENDER
from portrait18.dataset.formats import is_picture
from portrait18.dataset.layout import EXTENSIONS, is_junk, is_plain_name
from portrait18.importers import INPUTS
from portrait18.importers.ages import OLDEST

#: One row: photo, gender, race, age, low, high.
Row = tuple[str, str, str, int, int, int]

_UTK_RACES = ("White", "Black", "Asian", "Indian", "Other")
_UTK_FORM = "<age>_<gender 0|1>_<race 0-4>_<date>.jpg"
_AAF = re.compile(r"(?P<id>\d{5})A(?P<age>\d{2,3})")
_AAF_FORM = "<id>A<age>.jpg, e.g. 00000A02.jpg"
_AAF_FIRST_MALE, _AAF_LAST = 7381, 13321


def list_from_names(source: str, folder: Path, race: str) -> tuple[list[Row], list[str]]:
    """List the photos in a folder and its subfolders, with the labels in their names.

    Files without a photo's suffix count if their content is that of a picture.

    Args:
        source: utkface or all-age-faces.
        folder: folder to search.
        race: race where the source has none.

    Returns:
        The rows, and a line for each name that can't be read.

    Raises:
        UserError: the same names in several folders, with different photos.
    """
    rows: list[Row] = []
    problems, left_out, versions = [], [], _Versions()
    for file in _files(folder, frozenset({folder.resolve()})):
        if not _is_photo(file):
            left_out.append(file)
            continue
        name = file.relative_to(folder).as_posix()
        stem = file.name.split(".")[0]  # aligned photos of UTKFace are called ….jpg.chip.jpg
        try:
            if not all(map(is_plain_name, name.split("/"))):
                raise ValueError("has a name that no CSV can hold; rename it")
            parsed = _parse_utkface(stem) if source == "utkface" else _parse_all_age(stem, race)
        except ValueError as error:
            problems.append(f"{file} {error}")
            continue
        versions.add(stem, file)
        rows.append((name, *parsed))
    versions.check(folder)
    if left_out:
        omissions.warn(folder, left_out)
    return rows, problems


def _files(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, and hidden folders, which count as files."""
    for path in sorted(folder.iterdir()):
        if is_junk(path):
            continue
        if path.name.startswith(".") or not path.is_dir():
            yield path
        elif path.resolve() not in above and not (path / INPUTS).exists():  # links can form loops
            yield from _files(path, above | {path.resolve()})


def _is_photo(file: Path) -> bool:
    if file.name.startswith("."):
        return False
    if file.suffix.lower() in EXTENSIONS or not file.is_file():
        return file.suffix.lower() in EXTENSIONS
    with file.open("rb") as stream:
        return is_picture(stream.read(16))


def _parse_utkface(stem: str) -> tuple[str, str, int, int, int]:
    """Return gender, race, age, low and high; ValueError with a message that follows the path."""
    fields = stem.split("_")
    if len(fields) != 4:
        missing = "; look at the photo and add what is missing" if len(fields) < 4 else ""
        raise ValueError(
            f"has {len(fields)} fields, names of utkface 4: {_UTK_FORM}{missing}; rename or remove"
            " it"
        )
    age, gender, race, date = fields
    allowed = [
        ("age", age, f"0 to {OLDEST}", _number(age) <= OLDEST),
        ("gender", gender, "0 (male) or 1 (female)", gender in ("0", "1")),
        ("race", race, "0 to 4", _number(race) < len(_UTK_RACES)),
        ("date", date, "not empty", bool(date.strip())),
    ]
    faults = [f"{key} {value!r} must be {limits}" for key, value, limits, ok in allowed if not ok]
    if faults:
        raise ValueError(
            f"does not parse: {', '.join(faults)} in {_UTK_FORM}; look at the photo and rename it,"
            " or remove it"
        )
    years = int(age)
    return GENDER.classes[int(gender)], _UTK_RACES[int(race)], years, years, years


def _parse_all_age(stem: str, race: str) -> tuple[str, str, int, int, int]:
    """Return gender, race, age, low and high; ValueError with a message that follows the path."""
    match = _AAF.fullmatch(stem)
    if not match or int(match["age"]) > OLDEST or int(match["id"]) > _AAF_LAST:
        raise ValueError(
            f"does not parse; names of all-age-faces are {_AAF_FORM} with ids up to {_AAF_LAST} and"
            f" ages up to {OLDEST}; rename or remove it"
        )
    years = int(match["age"])
    gender = "male" if int(match["id"]) >= _AAF_FIRST_MALE else "female"
    return gender, race, years, years, years


def _number(text: str) -> int:
    """Return the value of one to three digits, a large number for other text."""
    return int(text) if re.fullmatch(r"\d{1,3}", text) else 1000


class _Versions:
    """Photos of the same name in several folders: original and aligned, or copies."""

    def __init__(self) -> None:
        self.first: dict[str, Path] = {}
        self.others: list[tuple[Path, Path]] = []

    def add(self, stem: str, file: Path) -> None:
        """Record a photo; files of one size in two folders count as copies."""
        other = self.first.setdefault(stem, file)
        if other.parent != file.parent and other.stat().st_size != file.stat().st_size:
            self.others.append((other, file))

    def check(self, folder: Path) -> None:
        """Raise UserError if a photo exists in two versions."""
        if self.others:
            one, two = self.others[0]
            raise UserError(
                f"{folder} has {len(self.others)} photos in two versions, such as {one} and {two};"
                " name the folder of one version"
            )
