import pytest

from portrait18.core import journal
from portrait18.core.journal import Journal


@pytest.fixture
def path(tmp_path):
    """Path of a journal with two pieces, in its own folder."""
    path = tmp_path / "folder/work.jsonl"
    written = Journal(path, ["crops", 3, {"flip": True}])
    written.add([1, "a"])
    written.add({"b": 0.1})
    return path


def test_pieces_are_read_back_in_order_for_the_same_fingerprint(path):
    again = Journal(path, ["crops", 3, {"flip": True}])
    assert again.pieces == [[1, "a"], {"b": 0.1}]
    again.add("c")
    assert Journal(path, ("crops", 3, {"flip": True})).pieces == [[1, "a"], {"b": 0.1}, "c"]
    assert journal.read(path) == (["crops", 3, {"flip": True}], [[1, "a"], {"b": 0.1}, "c"])


def test_pieces_of_another_fingerprint_are_discarded(path):
    assert Journal(path, ["crops", 4, {"flip": True}]).pieces == []
    assert Journal(path, ["crops", 3, {"flip": True}]).pieces == []


FINGERPRINT = ["crops", 3, {"flip": True}]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_cut_off_by_a_kill_costs_only_that_piece(path, cut):
    Journal(path, FINGERPRINT).add("cut off")
    path.write_text(path.read_text()[:-cut])
    again = Journal(path, FINGERPRINT)
    assert again.pieces == [[1, "a"], {"b": 0.1}]
    again.add("next")
    assert Journal(path, FINGERPRINT).pieces == [[1, "a"], {"b": 0.1}, "next"]


@pytest.mark.parametrize(
    "line", ["\0\0\0", "[2, 0.5]", '{"b": 0.2} 0123456789abcdef', "\ufffd", ""]
)
def test_pieces_end_at_a_damaged_line(path, capsys, line):
    lines = path.read_text().splitlines()
    Journal(path, FINGERPRINT).add("behind")
    path.write_text("\n".join([*path.read_text().splitlines()[:2], line, *lines[2:]]) + "\n")
    assert Journal(path, FINGERPRINT).pieces == [[1, "a"]]
    assert f"{path} is damaged; redoing the work from its line 3 on" in capsys.readouterr().out
    assert Journal(path, FINGERPRINT).pieces == [[1, "a"]]
    assert capsys.readouterr().out == ""


def test_a_changed_number_is_detected(path):
    path.write_text(path.read_text().replace("0.1", "0.2"))
    assert Journal(path, FINGERPRINT).pieces == [[1, "a"]]


@pytest.mark.parametrize("content", ["", "\n", "no json\n1\n", '["crops"'])
def test_a_journal_without_an_intact_fingerprint_is_empty(path, content):
    path.write_text(content)
    assert journal.read(path) == (None, [])
    assert Journal(path, None).pieces == []
    assert journal.read(path.with_name("none.jsonl")) == (None, [])


def test_numbers_are_read_back_exactly(path):
    numbers = [0.1, 1 / 3, 2.0**-149, 3.4028234663852886e38]
    Journal(path, "numbers").add(numbers)
    assert Journal(path, "numbers").pieces == [numbers]
