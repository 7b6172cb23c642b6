import json

import pytest

from portrait18 import journal
from portrait18.journal import Journal


@pytest.fixture
def path(tmp_path):
    """Of a journal with two pieces, in a folder of its own."""
    path = tmp_path / "folder/work.jsonl"
    written = Journal(path, ["crops", 3, {"flip": True}])
    written.add([1, "a"])
    written.add({"b": 0.1})
    return path


def test_pieces_come_back_in_their_order_for_the_same_fingerprint(path):
    again = Journal(path, ["crops", 3, {"flip": True}])
    assert again.pieces == [[1, "a"], {"b": 0.1}]
    again.add("c")
    assert Journal(path, ("crops", 3, {"flip": True})).pieces == [[1, "a"], {"b": 0.1}, "c"]
    assert journal.read(path) == (["crops", 3, {"flip": True}], [[1, "a"], {"b": 0.1}, "c"])


def test_pieces_for_other_work_are_thrown_away_at_once(path):
    assert Journal(path, ["crops", 4, {"flip": True}]).pieces == []
    assert Journal(path, ["crops", 3, {"flip": True}]).pieces == []


@pytest.mark.parametrize("rest", ["[2, 0.", "[2, 0.5]", '"whole"\n[2,', "\0\0\0\0\n[3]\n"])
def test_what_a_kill_cut_off_costs_that_piece_alone(path, rest):
    with open(path, "a") as file:
        file.write(rest)
    again = Journal(path, ["crops", 3, {"flip": True}])
    assert again.pieces[:2] == [[1, "a"], {"b": 0.1}] and again.pieces[2:] == ["whole"] * rest.startswith('"')
    again.add("next")
    assert [json.loads(line) for line in path.read_text().splitlines()][1:] == again.pieces


@pytest.mark.parametrize("content", ["", "\n", "no json\n1\n", '["crops"'])
def test_a_journal_without_a_readable_fingerprint_holds_nothing(path, content):
    path.write_text(content)
    assert journal.read(path) == (None, []) and Journal(path, None).pieces == []
    assert journal.read(path.with_name("none.jsonl")) == (None, [])


def test_numbers_come_back_to_the_last_digit(path):
    numbers = [0.1, 1 / 3, 2.0**-149, 3.4028234663852886e38]
    Journal(path, "numbers").add(numbers)
    assert Journal(path, "numbers").pieces == [numbers]
