"""Random data sets, with their true labels and the problems that they contain."""

import csv
import os
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from hypothesis import strategies as st
from synthetic import MASK_STATES, photo_bytes

PHOTO = photo_bytes(1, 20, 20)
VALID = st.sampled_from(
    [
        "000001",
        "000001-1",
        "NA",
        "1e5",
        "-x",
        "a b",
        "con",
        "Ω",
        "é",
        "e\u0301",
        'q"',
        "c,d",
        "'",
        "..x",
    ]
)
IDS = VALID | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/_"), min_size=1, max_size=12
)
ROGUE = st.sampled_from(
    ["a\nb", "a\x1b[31m", "a\\b", "", "x_y", "\udcff", "a\u2028b"]
)  # \udcff: a byte that is not UTF-8
AGES = st.integers(0, 130).map(str) | st.sampled_from(
    ["-5", "4.5", "nan", "", "old", "007", "1000", "٤٥", " 30", "1e1"]
)
ROWS = ["valid"] * 6 + ["none", "other gender", "other age", "twice", "no folder"]
FILES = ["valid"] * 12 + [
    "none",
    "double",
    "torn",
    "text",
    "folder",
    "passwd",
    "pipe",
    "link",
    "loop",
]
GOOD_FILES = ("valid", "link", "double")
JUNK = ["._normal.jpg", ".DS_Store", "Thumbs.db"]
UNKNOWN = [
    "Normal.jpg",
    "mask6.jpg",
    "mask1.gif",
    "no\nte.jpg",
    "\udcfe.jpg",
    "normal",
    "mask1 .jpg",
    "normal.jpg.jpg",
]
EVAL = st.sampled_from(
    ["a.jpg", "A.jpg", "NA", "-rf", "é.jpg", "a b", 'q".png', "1e5", "a,b", "..a"]
)
EVAL_ROGUE = st.sampled_from(
    ["../a.jpg", "/etc/passwd", "", "..", "a\nb", "x/y.jpg", "..\\a", "a\x1bb", "\u2029"]
)


class Person(NamedTuple):
    id: str
    gender: str
    age: str
    row: str
    files: tuple[str, ...]
    suffixes: tuple[str, ...]
    extra: list[str]

    @property
    def folder(self) -> str:
        return f"{self.id}_{self.gender}_Asian_{self.age}"

    @property
    def has_valid_name(self) -> bool:
        valid_id = bool(self.id) and not any(
            c in "\\_/" or category(c) in ("Cc", "Cs", "Zl", "Zp") for c in self.id
        )
        return (
            valid_id
            and self.gender in ("male", "female")
            and self.age.isdecimal()
            and len(self.age) <= 3
        )


def people(ids=IDS, ages=AGES) -> st.SearchStrategy[Person]:
    def chosen(options, size):
        return st.lists(st.sampled_from(options), min_size=size, max_size=size).map(tuple)

    return st.builds(
        Person,
        ids,
        st.sampled_from(["male", "female"] * 4 + ["Male", "man", ""]),
        ages,
        st.sampled_from(ROWS),
        chosen(FILES, 7) | st.just(("valid",) * 7),
        chosen([".jpg", ".JPG", ".jpeg", ".png"], 7),
        st.lists(st.sampled_from(JUNK * 3 + UNKNOWN), max_size=2, unique=True),
    )


VALID_PERSON = Person("000001", "female", "45", "valid", ("valid",) * 7, (".jpg",) * 7, [])


def place(path: Path, kind: str, elsewhere: Path) -> None:
    if kind in GOOD_FILES and kind != "link":
        path.write_bytes(PHOTO)
    elif kind == "torn":
        path.write_bytes(PHOTO[:300])
    elif kind == "text":
        path.write_text("<html>")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "none":
        path.symlink_to({"passwd": "/etc/passwd", "link": elsewhere, "loop": path.absolute()}[kind])


def write(root: Path, persons: list[Person]) -> tuple[dict, list[str]]:
    """Write the people to a data set.

    Returns the true labels, photo -> (person, gender, age, mask), and texts that the problems
    must contain.
    """
    rows, truth, problems = [], {}, []
    elsewhere = (root / "elsewhere.jpg").absolute()
    elsewhere.write_bytes(PHOTO)
    for p in persons:
        folder = root / "train/images" / p.folder
        gender = (
            {"male": "female", "female": "male"}.get(p.gender, "?")
            if p.row == "other gender"
            else p.gender
        )
        row = [p.id, gender, "Asian", p.age + "0" if p.row == "other age" else p.age, p.folder]
        listed = p.row != "none" and "\udcff" not in p.folder
        rows += [row] * (listed + (listed and p.row == "twice"))
        if p.row != "valid" and (listed or p.row != "no folder"):
            problems.append(p.folder)
        if p.row == "no folder":
            continue
        if not p.has_valid_name:
            problems.append(p.folder)
        folder.mkdir(parents=True)
        for state, kind, suffix in zip(MASK_STATES, p.files, p.suffixes, strict=True):
            path = folder / (state + suffix)
            place(path, kind, elsewhere)
            if kind == "double":
                place(folder / (state + {".png": ".jpg"}.get(suffix, ".png")), kind, elsewhere)
            in_table = p.has_valid_name and listed and p.row in ("valid", "twice")
            if (kind in ("none", "double") and p.has_valid_name) or (
                kind not in GOOD_FILES and in_table
            ):
                problems.append(
                    f"{p.folder}/{state}"
                )  # photos of a person with a wrong row are not read
            if kind in GOOD_FILES and in_table:
                mask = {"normal": 2, "incorrect_mask": 1}.get(state, 0)
                name = min(f.name for f in folder.glob(state + ".*"))
                person = normalize("NFC", p.id)
                truth[f"{p.folder}/{name}"] = (person, int(p.gender == "female"), int(p.age), mask)
        for name in p.extra:
            (folder / name).write_bytes(PHOTO)
            problems += [f"{p.folder}/{name}"] * (name in UNKNOWN and p.has_valid_name)
    (root / "train/images/._000009_male_Asian_30").write_text("left by a file manager")
    with open(root / "train/train.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "gender", "race", "age", "path"], *rows])
    return truth, problems
