"""Any CSV row or file name gives a person with the right labels inside the folder, or an error."""

import contextlib
import csv
import io
import os
import signal
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from synthetic import photo_bytes

from portrait18.core.errors import UserError
from portrait18.dataset import inventory, layout, tables
from portrait18.importers import building, csv_labels, sources
from portrait18.importers.__main__ import main

PHOTOS = {
    name: photo_bytes(n, 24, 24)
    for n, name in enumerate(["a.jpg", "b.jpg", "sub/c.jpg", "é 1.png", "-d.jpg"])
}
PHOTOS["copy.jpg"] = PHOTOS["a.jpg"]
OUTSIDE = [
    "../x.jpg",
    "/etc/passwd",
    "sub/../a.jpg",
    "..",
    ".",
    "a\\b",
    "a\nb.jpg",
    "C:\\..\\x.jpg",
    "",
]
#: Other ways to write the path of a photo.
SPELLINGS = {
    "./a.jpg": "a.jpg",
    "sub//c.jpg": "sub/c.jpg",
    "sub\\c.jpg": "sub/c.jpg",
    "C:\\photos\\sub\\c.jpg": "sub/c.jpg",
    "/home/kim/a.jpg": "a.jpg",
    "a.jpg/": "a.jpg",
    " b.jpg ": "b.jpg",
}
POINTS = np.array([[77.0, 90], [112, 90], [95, 111], [80, 130], [110, 130]]) / 8
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
AGES = {
    "30": 30,
    " 45 ": 45,
    "7.0": 7,
    "20-29": 24,
    "60+": 65,
    "more than 70": 75,
    "٣٠": 30,
    "34,0": 34,
    "<30": 24,
    "9-Mar": 6,
    "0": 0,
    "120": 120,
}
GENDERS = ["male", "M", "Female", " f", "0", "1"]
ROW = st.tuples(
    st.sampled_from([*PHOTOS] * 3 + OUTSIDE + [*SPELLINGS, "gone.jpg"]) | ANY,
    st.sampled_from([*GENDERS] * 3 + ["2", "", "nan", "1.0"]) | ANY,
    st.sampled_from(
        [*AGES] * 3 + ["-1", "121", "2003-09-01", "nan", "", "1e1", "30-20", "9" * 5000]
    )
    | ANY,
    st.sampled_from(["Asian", "a b", "x_y/z", "", "r" * 300, "../..", "\x1b[0m"]) | ANY,
)
FORMAT = csv_labels.CsvFormat(race="race", male="0", female="1")


def gender_of(cell: str) -> str:
    """Return the gender that a cell means."""
    word = cell.strip().lower()
    return {"m": "male", "f": "female", "0": "male", "1": "female"}.get(word, word)


def photo_of(cell: str) -> str:
    """Return the path that a cell means."""
    return SPELLINGS.get(cell, cell if cell in PHOTOS else cell.strip())


@contextlib.contextmanager
def folder_of(rows: list[tuple]):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        for photo, data in PHOTOS.items():
            (folder / photo).parent.mkdir(parents=True, exist_ok=True)
            (folder / photo).write_bytes(data)
        (folder.parent / "x.jpg").write_bytes(photo_bytes(99, 24, 24))
        with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["path", "gender", "age", "race"], *rows])
        yield folder


@tries(150)
@given(st.lists(ROW, min_size=1, max_size=4))
@example([("../x.jpg", "male", "30", "")])
@example([("a.jpg", "male", "30", "r" * 300)])
def test_a_row_gives_a_person_with_its_labels_or_an_error(rows):
    with folder_of(rows) as folder:
        try:
            people, problems = sources.list_people("csv", folder, [], FORMAT, "unknown")
        except UserError as error:
            people, problems = None, error.problems
        assert all("labels.csv line " in line for line in problems[people is None :])
        with tempfile.TemporaryDirectory() as out:
            for row in people.itertuples() if people is not None else ():
                assert (folder / row.photo).resolve().is_relative_to(folder.resolve())
                assert ".." not in row.photo.split("/")
                labels = {cells[1:3] for cells in rows if photo_of(cells[0]) == row.photo}
                assert (row.gender, row.age) in {
                    (gender_of(gender), AGES.get(age, row.age)) for gender, age in labels
                }
                name = f"{row.id}_{row.gender}_{row.race}_{row.age}"
                Path(out, name).mkdir()
                assert layout.parse_folder(name).age == row.age


def run(*arguments) -> tuple[int, str]:
    """Return the exit status and stderr of the command, without face detection."""
    printed, before = io.StringIO(), signal.getsignal(signal.SIGTERM)
    find = mock.patch.object(
        building.landmarks, "find", lambda net, batch, least: [POINTS] * len(batch)
    )
    net = mock.patch("portrait18.cropping.mtcnn.Mtcnn")
    quiet = contextlib.redirect_stdout(io.StringIO())
    try:
        with find, net, quiet, contextlib.redirect_stderr(printed):
            main([str(a) for a in arguments])
    except SystemExit as end:
        return end.code, printed.getvalue()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0, printed.getvalue()


@tries(12)
@given(st.lists(ROW, min_size=1, max_size=3))
@example(
    [("a.jpg", "male", "30", ""), ("copy.jpg", "female", "30", ""), ("b.jpg", "male", "70", "")]
)
def test_the_command_gives_a_valid_data_set_or_errors(rows):
    with folder_of(rows) as folder:
        options = [
            "--race-column",
            "race",
            "--male",
            "0",
            "--female",
            "1",
            "--min-age",
            "0",
            "--problems",
            "skip",
        ]
        code, printed = run("csv", folder, folder.parent / "out", *options)
        assert code in (0, 1)
        assert all(line.isprintable() for line in printed.split("\n") if "draw:" not in line)
        if code:
            assert (
                printed.splitlines()[-1].startswith(("error: ", "--problems skip"))
                or " problems; " in printed
            )
            return
        table, problems = inventory.list_train(folder.parent / "out")
        assert problems == []
        listed = tables.read_user_csv(folder.parent / "out/train/train.csv", ["id"])
        assert len(table) == 7 * len(listed)


def test_a_photo_with_two_genders_is_dropped_twice():
    rows = [
        ("a.jpg", "male", "30", ""),
        ("copy.jpg", "female", "30", ""),
        ("b.jpg", "male", "70", ""),
    ]
    with folder_of(rows) as folder:
        code, printed = run("csv", folder, folder.parent / "out")
        assert code == 1
        assert "a.jpg (male, 30) is the same file as copy.jpg, of another gender" in printed
        code, printed = run("csv", folder, folder.parent / "out", "--problems", "skip")
        assert code == 0
        assert printed.count("is the same file as") == 2
        assert [p.name for p in (folder.parent / "out/train/images").iterdir()] == [
            "csv-b_male_unknown_70"
        ]


@tries(60)
@given(
    st.lists(
        st.binary(min_size=1, max_size=8).map(lambda b: b.replace(b"/", b"x").replace(b"\0", b"y")),
        max_size=3,
    )
)
@example([b"\xff"])
@example([b"a\nb"])
def test_a_file_name_gives_a_person_or_an_error(endings):
    with tempfile.TemporaryDirectory() as folder:
        for ending in endings:
            Path(folder, os.fsdecode(b"25_1_2_" + ending + b".jpg")).write_bytes(b"")
        if not endings:
            with pytest.raises(UserError, match="has no photos of utkface"):
                sources.list_people("utkface", Path(folder), [], csv_labels.CsvFormat(), "unknown")
            return
        people, problems = sources.list_people(
            "utkface", Path(folder), [], csv_labels.CsvFormat(), "unknown"
        )
        assert len(people) + len(problems) == len(set(endings))
        assert set(people.gender) <= {"female"}
        assert set(people.age) <= {25}
        people.to_csv(io.BytesIO(), index=False)


@pytest.mark.parametrize(
    "options",
    [("--male", "1", "--female", "1"), ("--race", "a\nb"), ("--race", "r" * 100), ("--race", "..")],
)
def test_options_that_would_give_wrong_labels_or_names_are_refused(tmp_path, options):
    code, printed = run("csv", tmp_path, tmp_path / "out", *options)
    assert code == 2
    assert f"{options[0]} " in printed


def test_a_folder_with_a_damaged_inputs_file_is_not_changed(tmp_path):
    with folder_of([("b.jpg", "male", "70", "")]) as folder:
        (tmp_path / building.INPUTS).write_bytes(b"\xff{")
        code, printed = run("csv", folder, tmp_path)
        assert code == 1
        assert "or choose another folder" in printed
