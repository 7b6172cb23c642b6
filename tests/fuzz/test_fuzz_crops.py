"""Whatever a crash leaves of the crops: valid work is resumed, the rest is redone or named."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import crop_params

from portrait18.core.errors import UserError
from portrait18.cropping import reuse
from portrait18.cropping.context import LENGTH
from portrait18.dataset import crop_store
from portrait18.dataset.tables import write_csv

INVENTORY = pd.DataFrame({"digest": [f"photo {i}" for i in range(6)], "width": 40, "height": 40})
FACE = [1.5, 2.0, 30.0, 31.0, 0.0, 0.99, [5.5] * 10]
ROWS = [["mtcnn", *FACE, bytes([i] * LENGTH).hex()] for i in range(6)]
CHANGES = st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


def killed_run(work: Path) -> Path:
    """Leave the work folder of a run killed after three chunks; returns its journal."""
    for path in work.iterdir():
        path.unlink()
    crops = reuse.Work(work, INVENTORY, crop_params(), torch.device("cpu"))
    for start in (0, 2, 4):
        crops.add({start: ROWS[start], start + 1: ROWS[start + 1]})
    return crops.journal.path


def next_run(work: Path) -> reuse.Work:
    """Start the next run; the work that it takes over must be valid."""
    crops = reuse.Work(work, INVENTORY, crop_params(), torch.device("cpu"))
    assert crops.pixels.shape == (6, 32, 32, 3)
    assert crops.pixels.dtype == np.uint8
    assert crops.rows == {i: ROWS[i] for i in range(len(crops.rows))}
    assert len(crops.journal.path.read_text().splitlines()) == 1 + len(crops.rows) // 2
    return crops


JUNK = [
    "\0" * 50,
    "\n",
    "[]",
    "{}",
    "[0, []]",
    '[4, [["mtcnn"]]]',
    "null",
    "[NaN, 1]",
    "[4, 5]",
    "[[0], 1]",
    "[" * 10**5,
]


@tries(60)
@given(
    st.integers(0, 4000), st.sampled_from(JUNK) | st.text(st.characters(codec="utf-8"), max_size=20)
)
@example(0, "")
@example(10**6, json.dumps([[4, "photo 4", ROWS[4]]]) + "\n")
@example(10**6, "\0\0\0\n")
def test_complete_lines_of_a_truncated_journal_are_resumed(work, cut, junk):
    journal = killed_run(work)
    content = journal.read_bytes()[:cut]
    journal.write_bytes(content + junk.encode())
    assert len(next_run(work).rows) == 2 * max(0, content.count(b"\n") - 1)


@tries(60)
@given(CHANGES)
def test_a_damaged_journal_raises_nothing(work, changes):
    journal = killed_run(work)
    content = bytearray(journal.read_bytes())
    for at, byte in changes:
        content[at % len(content)] = byte
    journal.write_bytes(content)
    next_run(work)


@tries(50)
@given(
    st.lists(st.tuples(st.integers(0, 140), st.integers(0, 255)), max_size=3),
    st.integers(0, 20000) | st.none(),
)
def test_damaged_pixels_are_computed_again(work, changes, cut):
    killed_run(work)
    [pixels] = work.glob("*.npy")
    content = bytearray(pixels.read_bytes())
    for at, byte in changes:
        content[at] = byte
    pixels.write_bytes(content[:cut])
    next_run(work)


@tries(60)
@given(st.sampled_from(["a.npy", "a.csv"]), CHANGES, st.integers(0, 20000) | st.none())
@example("a.csv", [(0, 112)], 20)
def test_a_damaged_store_is_read_or_rejected(work, name, changes, cut):
    np.save(work / "a.npy", np.zeros((4, 8, 8, 3), np.uint8))
    write_csv(pd.DataFrame({"photo": list("abcd"), "x0": 1.5, "found": "mtcnn"}), work / "a.csv")
    content = bytearray((work / name).read_bytes())
    for at, byte in changes:
        content[at % min(len(content), 200)] = byte
    (work / name).write_bytes(content[:cut])
    try:
        pixels, table = crop_store.load(work, "a")
    except UserError as error:
        (line,) = error.problems
        assert "is damaged" in line
        assert f"{work}/a." in line
    else:
        assert len(pixels) == len(table)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 4
