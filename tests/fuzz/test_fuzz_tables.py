"""Any CSV: `tables.read_user_csv` returns its cells and line numbers or rejects it."""

import csv
import io
from pathlib import Path

import pytest
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.classes import NUM_CLASSES
from portrait18.evaluation import near_duplicates, score

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ODD = st.sampled_from(
    ["", " ", "NA", "1e5", "000001", "a,b", 'say "hi"', "two\nlines", "=1+1", "\ufeff", "-1", "nan"]
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("csv") / "x.csv"


def assert_one_line_each(lines: list[str]) -> None:
    assert lines
    assert all(line.isprintable() and "x.csv" in line for line in lines)


def written(rows: list, end: str) -> str:
    # Python's writer quotes a line break only if it occurs in the line terminator.
    breaks = any(c in str(cell) for row in rows for cell in row for c in "\r\n")
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if breaks else csv.QUOTE_MINIMAL
    csv.writer(out, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue()


@tries(120)
@given(
    st.lists(st.tuples(CELLS | ODD, CELLS | ODD, st.integers(0, 2)), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_cells_and_line_numbers_survive_writing_and_reading(path, rows, end, with_bom):
    text, lines = written([["ImageID", "note"]], end), []
    for *cells, empty in rows:
        text += end * empty
        lines.append(len(io.StringIO(text, newline=None).read().split("\n")))
        text += written([cells], end)
    path.write_bytes(("\ufeff" * with_bom + text).encode())
    table = tables.read_user_csv(path, ["ImageID"])
    assert table.values.tolist() == [list(row[:2]) for row in rows]
    assert table.index.tolist() == lines


@tries(150)
@given(st.binary(max_size=60), st.sampled_from(["", "utf-16", "utf-16-le", "latin-1", "utf-8"]))
@example(b"ImageID,ans\na\0b,1\n", "")
@example(b'ImageID,ans\n"a"b,1\n', "")
@example(b"ImageID,ans,ans\na,1,2\n", "")
@example(b"ImageID,ans\na\n", "")
@example(b'ImageID,ans\n"a,1\n', "")
@example(b"\n\n", "")
@example(b"", "")
@example("ImageID,ans\né,1\n".encode(), "utf-16")
def test_any_bytes_are_read_or_rejected_in_one_line(path, data, encoding):
    path.write_bytes(
        data.decode("utf-8", "replace").encode(encoding, "replace") if encoding else data
    )
    try:
        table = tables.read_user_csv(path, ["ImageID", "ans"])
    except UserError as error:
        assert_one_line_each(error.problems)
    else:
        assert all(isinstance(cell, str) and "\0" not in cell for cell in table.values.ravel())


NAMES = st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "A.jpg", "a.jpg ", ""]) | CELLS
CLASS_IDS = st.integers(-2, NUM_CLASSES + 2).map(str) | st.sampled_from(
    ["", "1.0", "01", "\uff11", "nan", "True", " 3"]
)


@tries(120)
@given(st.lists(st.tuples(NAMES, CLASS_IDS), max_size=5))
def test_true_classes_are_read_as_written_or_rejected(path, rows):
    path.write_text(written([["ImageID", "ans"], *rows], "\n"), newline="")
    names = [name for name, _ in rows]
    valid = bool(
        rows
        and len(set(names)) == len(rows)
        and all(a in map(str, range(NUM_CLASSES)) for _, a in rows)
    )
    if not valid:
        with pytest.raises(UserError) as caught:
            score.read(path)
        assert_one_line_each(caught.value.problems)
        return
    found = score.read(path)
    assert found.to_dict() == {name: int(a) for name, a in rows}
    assert score.compare(found, found[::-1])["accuracy"] == 1


@tries(80)
@given(st.lists(st.sampled_from(["", " ", "p1", "p2", " p2", "NA", "nan"]), min_size=1, max_size=6))
def test_photos_are_grouped_by_equal_cells_only(path, cells):
    names = [f"{i}.jpg" for i in range(len(cells))]
    path.write_text(
        written(
            [["ImageID", "ans", "who"], *zip(names, "0" * len(cells), cells, strict=True)], "\n"
        )
    )
    groups = near_duplicates.by_column(
        tables.read_user_csv(path, ["ImageID"]).ImageID, path, "who"
    ).tolist()
    for one, group in enumerate(groups):
        for other, other_group in enumerate(groups):
            same = one == other or (
                cells[one].strip() and cells[one].strip() == cells[other].strip()
            )
            assert (group == other_group) == bool(same)


def test_a_folder_instead_of_a_csv_is_named(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        tables.read_user_csv(tmp_path, ["ImageID"])
