"""The competition's folder layout and its file names.

ROOT/train/train.csv          id,gender,race,age,path
ROOT/train/images/<path>/     path = <id>_<gender>_<race>_<age>; seven photos, named by mask state
ROOT/train/about.txt          one sentence: who the photos show and where they come from; optional
ROOT/eval/info.csv            ImageID,ans
ROOT/eval/images/<ImageID>
"""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from portrait18.core.errors import UserError, printable
from portrait18.dataset.classes import GENDER
from portrait18.dataset.formats import JPEG_SUFFIXES

EXTENSIONS = (*JPEG_SUFFIXES, ".png")
FOLDER_PATTERN = re.compile(
    r"(?P<id>[^_/\\]+)_(?P<gender>male|female)_(?P<race>[^_/\\]*)_(?P<age>\d{1,3})"
)
#: What is_junk ignores, in lower case.
_JUNK = frozenset(
    [
        ".ds_store",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "@eadir",
        "__macosx",
        ".appledouble",
        ".spotlight-v100",
        ".trashes",
        ".fseventsd",
        "#recycle",
        "$recycle.bin",
        ".gitkeep",
        ".gitignore",
        ".ipynb_checkpoints",
    ]
)
_MAX_ABOUT = 300
#: Control characters, line separators and surrogates, which stand for bytes that are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Person(NamedTuple):
    """What a folder name says; `gender` is an index into `classes.GENDER`, `age` is in years.

    `id` is in Unicode's form NFC. Folders from macOS can be in NFD: without a common form, a person
    in both data.root and data.extra could be in training and validation unnoticed.
    """

    id: str
    gender: int
    race: str
    age: int


def is_plain_name(name: str) -> bool:
    """Return whether a name stays inside its folder (no path) and is printable."""
    is_path = name in ("", ".", "..") or "/" in name or "\\" in name
    return not is_path and not _UNPRINTABLE.search(name)


def escaped(name: str) -> str:
    """Escape what `is_plain_name` refuses in a name, apart from separators of folders."""
    return _UNPRINTABLE.sub(lambda found: printable(found[0]), name)


def is_person_folder(name: str) -> bool:
    """Return whether `parse_folder` accepts a name."""
    return bool(FOLDER_PATTERN.fullmatch(name)) and is_plain_name(name)


def is_junk(path: Path) -> bool:
    """Return whether a file manager, a NAS or a tool left this file or folder."""
    return path.name.startswith("._") or path.name.lower() in _JUNK


def parse_folder(name: str) -> Person:
    """Parse a folder name such as `000001_female_Asian_45`.

    Raises:
        ValueError: the name has another form.
    """
    match = FOLDER_PATTERN.fullmatch(name)
    if not match or not is_plain_name(name):
        raise ValueError(
            f"folder name {name!r} does not parse; expected <id>_<male|female>_<race>_<age>,"
            " e.g. 000001_female_Asian_45"
        )
    gender = GENDER.classes.index(match["gender"])
    return Person(
        unicodedata.normalize("NFC", match["id"]), gender, match["race"], int(match["age"])
    )


def read_about(root: Path) -> str:
    """Return the sentence of train/about.txt on one line, "" without that file.

    Whoever predicts with the trained networks reads it.

    Raises:
        UserError: not UTF-8, or longer than 300 characters.
    """
    path = root / "train/about.txt"
    try:
        text = " ".join(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8 text") from None
    if len(text) > _MAX_ABOUT or _UNPRINTABLE.search(text):
        raise UserError(
            f"{path} has {len(text)} characters; write one sentence of at most {_MAX_ABOUT}"
            " printable characters"
        )
    return text


def validate_layout(root: Path, extra: Path) -> None:
    """Check that all files and folders of the layout exist.

    Args:
        root: folder with train/ and eval/.
        extra: folder with a train/ only.

    Raises:
        UserError: one line for each missing file or folder, and one if both are the same folder.
    """
    main_parts = ("train/train.csv", "train/images", "eval/info.csv", "eval/images")
    required = [(root / part, "root") for part in main_parts]
    required += [(extra / part, "extra") for part in ("train/train.csv", "train/images")]
    problems = [
        f"{path} is missing; put the data there (a link works) or point data.{param} at the"
        " folder that holds train/"
        for path, param in required
        if not path.exists()
    ]
    if root.resolve() == extra.resolve():
        problems.append(
            f"data.extra = {extra} is the folder of data.root; point it at a folder with other"
            " people, or at data/extra, which has none"
        )
    if problems:
        raise UserError(problems)
