"""Any folders, files and rows: stage check lists the photos with their true labels, or names each thing that is wrong."""

import contextlib
import csv
import io
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple
from unicodedata import category
from unittest import mock

import pytest
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from synthetic import STATES, photo_bytes, write_params

from portrait18 import params
from portrait18.data import tables
from portrait18.errors import printable
from stages import check

PHOTO = photo_bytes(1, 20, 20)
SOUND = st.sampled_from(
    ["000001", "000001-1", "NA", "1e5", "-x", "a b", "con", "Ω", "é", "e\u0301", 'q"', "c,d", "'", "..x"]
)
IDS = SOUND | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/_"), min_size=1, max_size=12)
ROGUE = st.sampled_from(
    ["a\nb", "a\x1b[31m", "a\\b", "", "x_y", "\udcff", "a\u2028b"]
)  # \udcff: a byte that is no UTF-8
AGES = st.integers(0, 130).map(str) | st.sampled_from(
    ["-5", "4.5", "nan", "", "old", "007", "1000", "٤٥", " 30", "1e1"]
)
ROWS = ["sound"] * 6 + ["none", "other gender", "other age", "twice", "no folder"]
FILES = ["sound"] * 12 + ["none", "double", "torn", "text", "folder", "passwd", "pipe", "link", "loop"]
GOOD_FILES = ("sound", "link", "double")
JUNK = ["._normal.jpg", ".DS_Store", "Thumbs.db"]
STRANGE = ["Normal.jpg", "mask6.jpg", "mask1.gif", "no\nte.jpg", "\udcfe.jpg", "normal", "mask1 .jpg", "normal.jpg.jpg"]
EVAL = st.sampled_from(["a.jpg", "A.jpg", "NA", "-rf", "é.jpg", "a b", 'q".png', "1e5", "a,b", "..a"])
EVAL_ROGUE = st.sampled_from(["../a.jpg", "/etc/passwd", "", "..", "a\nb", "x/y.jpg", "..\\a", "a\x1bb", "\u2029"])


LINE = re.compile(r"|(error|warning): [^\x00-\x1f]*|\d+ problems; mend them all.*|check.problems: skip in.*")


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
    def named_well(self) -> bool:
        sound_id = bool(self.id) and not any(c in "\\_/" or category(c) in ("Cc", "Cs", "Zl", "Zp") for c in self.id)
        return sound_id and self.gender in ("male", "female") and self.age.isdecimal() and len(self.age) <= 3


def people(ids=IDS, ages=AGES) -> st.SearchStrategy[Person]:
    def chosen(options, size):
        return st.lists(st.sampled_from(options), min_size=size, max_size=size).map(tuple)

    return st.builds(
        Person,
        ids,
        st.sampled_from(["male", "female"] * 4 + ["Male", "man", ""]),
        ages,
        st.sampled_from(ROWS),
        chosen(FILES, 7) | st.just(("sound",) * 7),
        chosen([".jpg", ".JPG", ".jpeg", ".png"], 7),
        st.lists(st.sampled_from(JUNK * 3 + STRANGE), max_size=2, unique=True),
    )


SOUND_PERSON = Person("000001", "female", "45", "sound", ("sound",) * 7, (".jpg",) * 7, [])


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


def write(root: Path, everybody: list[Person]) -> tuple[dict, list[str]]:
    """Write the people; returns the truth, photo -> (person, gender, age, mask), and what the faults must name."""
    rows, truth, faults = [], {}, []
    elsewhere = (root / "elsewhere.jpg").absolute()
    elsewhere.write_bytes(PHOTO)
    for p in everybody:
        folder = root / "train/images" / p.folder
        gender = {"male": "female", "female": "male"}.get(p.gender, "?") if p.row == "other gender" else p.gender
        row = [p.id, gender, "Asian", p.age + "0" if p.row == "other age" else p.age, p.folder]
        listed = p.row != "none" and "\udcff" not in p.folder
        rows += [row] * (listed + (listed and p.row == "twice"))
        if p.row != "sound" and (listed or p.row != "no folder"):
            faults.append(p.folder)
        if p.row == "no folder":
            continue
        if not p.named_well:
            faults.append(p.folder)
        folder.mkdir(parents=True)
        for state, kind, suffix in zip(STATES, p.files, p.suffixes, strict=True):
            path = folder / (state + suffix)
            place(path, kind, elsewhere)
            if kind == "double":
                place(folder / (state + {".png": ".jpg"}.get(suffix, ".png")), kind, elsewhere)
            in_table = p.named_well and listed and p.row in ("sound", "twice")
            if kind in ("none", "double") and p.named_well or kind not in GOOD_FILES and in_table:
                faults.append(f"{p.folder}/{state}")  # of a person whose row is wrong no photo is read
            if kind in GOOD_FILES and in_table:
                mask = {"normal": 2, "incorrect_mask": 1}.get(state, 0)
                name = min(f.name for f in folder.glob(state + ".*"))
                truth[f"{p.folder}/{name}"] = (p.id, int(p.gender == "female"), int(p.age), mask)
        for name in p.extra:
            (folder / name).write_bytes(PHOTO)
            faults += [f"{p.folder}/{name}"] * (name in STRANGE and p.named_well)
    (root / "train/images/._000009_male_Asian_30").write_text("left by a file manager")
    with open(root / "train/train.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "gender", "race", "age", "path"], *rows])
    return truth, faults


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The params of the repository with the data in photos/, for both values of check.problems."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    changes = {"data.root": "photos", "data.extra": "extra", "check.max_pixels": 10**6}
    before = signal.getsignal(signal.SIGTERM)
    yield {how: params.load(write_params(path, changes | {"check.problems": how})) for how in ("stop", "skip")}
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def data_set():
    """A folder to work in that holds an empty data set."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("photos/train/images", "photos/eval/images", "extra/train/images"):
            Path(name).mkdir(parents=True)
        for name in ("photos", "extra"):
            Path(name, "train/train.csv").write_text("id,gender,race,age,path\n")
        Path("photos/eval/info.csv").write_text("ImageID,ans\na.jpg,0\n")
        Path("photos/eval/images/a.jpg").write_bytes(PHOTO)
        yield Path("photos")


def run(loaded, problems: str) -> list[str] | None:
    """Run the stage: None where it went well, else its lines of error, none of them broken in two."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        with mock.patch.object(params, "load", return_value=loaded[problems]):
            try:
                check.main()
            except SystemExit as end:
                assert end.code == 1 and not Path("data/photos").exists()
                lines = told.getvalue().split("\n")
                assert all(LINE.fullmatch(line) for line in lines)
                return [line for line in lines if line.startswith("error: ")]
    assert all(line.startswith("warning: ") for line in told.getvalue().splitlines())
    return None


def found() -> dict:
    train = tables.read("data/photos/train.csv")
    return {row.photo: (row.person, row.gender, row.age, row.mask) for row in train.itertuples()}


@tries(60)
@given(st.lists(people() | people(IDS | ROGUE), max_size=3, unique_by=lambda p: p.folder))
@example([SOUND_PERSON._replace(id="a\nb")])
@example([SOUND_PERSON, SOUND_PERSON._replace(id="2", files=("pipe", "passwd") + ("sound",) * 5)])
@example([SOUND_PERSON._replace(files=("link",) * 7)])
def test_people_get_their_true_labels_or_a_line(loaded, everybody):
    everybody = [p for p in everybody if len(os.fsencode(p.folder)) < 255 and not p.folder.startswith(".")]
    with data_set() as root:
        truth, faults = write(root, everybody)
        errors = run(loaded, "stop")
        if faults or not truth:
            for fault in faults:
                assert any(repr(fault)[1:-1] in e or printable(fault) in e for e in errors), fault
        else:
            assert errors is None and found() == truth
        assert bool(run(loaded, "skip")) == (not truth)
        if truth:
            assert found() == truth


@tries(60)
@given(
    st.lists(st.tuples(EVAL | EVAL_ROGUE, st.sampled_from(["sound", "none", "torn", "pipe"])), min_size=1, max_size=4)
)
def test_photos_to_label_keep_their_order_or_get_a_line(loaded, listed):
    names = [name for name, _ in listed]
    with data_set() as root:
        write(root, [SOUND_PERSON])
        rogue = [name for name in names if "/" in name or "\\" in name or not name.strip(".") or not name.isprintable()]
        for name, kind in dict(listed).items():
            if name not in rogue:
                (root / "eval/images" / name).unlink(missing_ok=True)
                place(root / "eval/images" / name, kind, root)
        with open(root / "eval/info.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["ImageID", "ans"], *[(name, "0") for name in names]])
        errors = run(loaded, "skip")
        assert bool(errors) == (bool(rogue) or len(set(names)) < len(names))
        if errors is None:
            evaluated = tables.read("data/photos/eval.csv")
            kinds = dict(listed)
            assert evaluated.photo.tolist() == names
            assert evaluated.width.tolist() == [20 if kinds[name] == "sound" else 0 for name in names]


PATHS = [
    "../../../etc",
    "/etc",
    "..",
    ".",
    "",
    "x/../000001_female_Asian_45",
    "000001_female_Asian_45/",
    "a\\b",
    "a\nb",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_train_csv_that_is_no_folder_s_name_is_refused(loaded, path):
    with data_set() as root:
        write(root, [SOUND_PERSON])
        with open(root / "train/train.csv", "a", newline="") as file:
            csv.writer(file).writerow(["000001", "female", "Asian", "45", path])
        (line,) = run(loaded, "stop")
        assert "train.csv line 3: path" in line and "must be the name of a folder" in line


@tries(60)
@given(st.sampled_from(["train/train.csv", "eval/info.csv"]), st.data())
def test_a_table_with_wrong_bytes_is_refused_or_gives_the_true_labels(loaded, name, data):
    with data_set() as root:
        truth, _ = write(root, [SOUND_PERSON, SOUND_PERSON._replace(id="2", gender="male", age="60")])
        content = bytearray((root / name).read_bytes())
        for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)):
            content[at % len(content)] = byte
        cut = data.draw(st.integers(0, len(content)))
        (root / name).write_bytes(bytes(content[:cut]) if data.draw(st.booleans()) else content)
        if run(loaded, "stop") is None:
            assert found() == truth
        if run(loaded, "skip") is None:
            assert found().items() <= truth.items()
