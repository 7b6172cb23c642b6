"""Any folders, files and rows: the check stage lists true labels or names each problem."""

import contextlib
import csv
import io
import os
import signal
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from data_sets import EVAL, EVAL_ROGUE, IDS, PHOTO, ROGUE, VALID_PERSON, people, place, write
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from synthetic import write_params

from portrait18.core import params
from portrait18.core.errors import UserError, printable
from portrait18.dataset import tables
from stages import check


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Params with the data in photos/, for both values of check.problems."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    changes = {"data.root": "photos", "data.extra": "extra", "check.max_pixels": 10**6}
    changes["check.max_bad_eval"] = 1.0
    before = signal.getsignal(signal.SIGTERM)
    yield {
        problems: params.load(write_params(path, changes | {"check.problems": problems}))
        for problems in ("stop", "skip")
    }
    signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def data_set():
    """Work in a temporary folder with an empty data set."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("photos/train/images", "photos/eval/images", "extra/train/images"):
            Path(name).mkdir(parents=True)
        for name in ("photos", "extra"):
            Path(name, "train/train.csv").write_text("id,gender,race,age,path\n")
        Path("photos/eval/info.csv").write_text("ImageID,ans\na.jpg,0\n")
        Path("photos/eval/images/a.jpg").write_bytes(PHOTO)
        yield Path("photos")


def run(loaded, problems: str) -> list[str] | None:
    """Run the stage; returns None if it succeeds, else its problems, one printable line each."""
    stderr = io.StringIO()
    with (
        contextlib.redirect_stderr(stderr),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(params, "load", return_value=loaded[problems]),
    ):
        try:
            check.main()
            error = None
        except UserError as caught:
            error = caught
    warnings = stderr.getvalue().splitlines()
    assert all(line.startswith("warning: ") and line.isprintable() for line in warnings)
    if error is None:
        return None
    assert not Path("data/photos").exists()
    assert all(line.isprintable() for line in error.problems)
    return error.problems


def listed_labels() -> dict:
    train = tables.read("data/photos/train.csv")
    return {row.photo: (row.person, row.gender, row.age, row.mask) for row in train.itertuples()}


@tries(60)
@given(st.lists(people() | people(IDS | ROGUE), max_size=3, unique_by=lambda p: p.folder))
@example([VALID_PERSON._replace(id="a\nb")])
@example([VALID_PERSON, VALID_PERSON._replace(id="2", files=("pipe", "passwd") + ("valid",) * 5)])
@example([VALID_PERSON._replace(files=("link",) * 7)])
def test_people_get_their_true_labels_or_a_line(loaded, persons):
    persons = [
        p for p in persons if len(os.fsencode(p.folder)) < 255 and not p.folder.startswith(".")
    ]
    with data_set() as root:
        truth, problems = write(root, persons)
        errors = run(loaded, "stop")
        if problems or not truth:
            for problem in problems:
                assert any(repr(problem)[1:-1] in e or printable(problem) in e for e in errors), (
                    problem
                )
        else:
            assert errors is None
            assert listed_labels() == truth
        assert bool(run(loaded, "skip")) == (not truth)
        if truth:
            assert listed_labels() == truth


@tries(60)
@given(
    st.lists(
        st.tuples(EVAL | EVAL_ROGUE, st.sampled_from(["valid", "none", "torn", "pipe"])),
        min_size=1,
        max_size=4,
    )
)
def test_evaluation_photos_keep_their_order_or_get_a_line(loaded, listed):
    names = [name for name, _ in listed]
    with data_set() as root:
        write(root, [VALID_PERSON])
        rogue = [
            name
            for name in names
            if "/" in name or "\\" in name or not name.strip(".") or not name.isprintable()
        ]
        for name, kind in dict(listed).items():
            if name not in rogue:
                (root / "eval/images" / name).unlink(missing_ok=True)
                place(root / "eval/images" / name, kind, root)
        with open(root / "eval/info.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["ImageID", "ans"], *[(name, "0") for name in names]])
        errors = run(loaded, "skip")
        assert bool(errors) == (bool(rogue) or len(set(names)) < len(names))
        if errors is None:
            evaluation = tables.read("data/photos/eval.csv")
            kinds = dict(listed)
            assert evaluation.photo.tolist() == names
            assert evaluation.width.tolist() == [
                20 if kinds[name] == "valid" else 0 for name in names
            ]


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
def test_a_path_in_train_csv_that_is_not_a_folder_name_is_rejected(loaded, path):
    with data_set() as root:
        write(root, [VALID_PERSON])
        with open(root / "train/train.csv", "a", newline="") as file:
            csv.writer(file).writerow(["000001", "female", "Asian", "45", path])
        (line,) = run(loaded, "stop")
        assert "train.csv line 3: path" in line
        assert "must be the name of a folder" in line


@tries(60)
@given(st.sampled_from(["train/train.csv", "eval/info.csv"]), st.data())
def test_a_damaged_table_is_rejected_or_gives_the_true_labels(loaded, name, data):
    with data_set() as root:
        truth, _ = write(
            root, [VALID_PERSON, VALID_PERSON._replace(id="2", gender="male", age="60")]
        )
        content = bytearray((root / name).read_bytes())
        for at, byte in data.draw(
            st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)
        ):
            content[at % len(content)] = byte
        cut = data.draw(st.integers(0, len(content)))
        (root / name).write_bytes(bytes(content[:cut]) if data.draw(st.booleans()) else content)
        if run(loaded, "stop") is None:
            assert listed_labels() == truth
        if run(loaded, "skip") is None:
            assert listed_labels().items() <= truth.items()
