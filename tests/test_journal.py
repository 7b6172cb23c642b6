import errno
import os

import numpy as np
import pytest
from cropping import equal_files
from tiny import crop_params

from portrait18 import crops, journal


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    missed = {3: "both", 6: "both"}
    find(missed=missed)
    build(inventory, to="undisturbed")
    find(missed=missed, stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    assert not (tmp_path / "store").exists()
    finder = find(missed=missed)
    build(inventory)
    assert set(finder.seen) == {4, 5, 6}
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_kill_after_the_last_chunk_costs_nothing(inventory, build, find, tmp_path, capsys):
    find(missed={3: "both", 6: "both"})
    build(inventory)
    made = {path: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    os.chmod(tmp_path / "store/set.npy", 0o444)  # DVC's cache: the same file by a third name, never to be written
    os.link(tmp_path / "store/set.npy", tmp_path / "cached")
    before = os.stat(tmp_path / "cached").st_mtime_ns
    for path in made:
        path.unlink()
    finder = find(missed={3: "both", 6: "both"})
    build(inventory)
    assert finder.seen == [] and "going on from photo 7 of 7" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in made} == made
    build(inventory, crop_params(margin=0.8))
    assert (tmp_path / "cached").read_bytes() == made[tmp_path / "store/set.npy"]
    assert os.stat(tmp_path / "cached").st_mtime_ns == before


def test_a_store_on_another_disk_is_a_copy(inventory, build, find, tmp_path, monkeypatch):
    find()
    build(inventory, to="linked")

    def refuse(*names):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(journal.os, "link", refuse)
    build(inventory)
    assert equal_files(tmp_path, "store", "linked")
    assert os.stat(tmp_path / "store/set.npy").st_nlink == 1


def stopped(inventory, build, find, at=6):
    find(stop_at=at)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)


GARBAGE = {"bytes": b"\xff\x00\xfe\n", "number": b"5\n", "other rows": b"[2, [[]]]\n", "text": b"]]\n", "empty": b"\n"}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE)
def test_a_line_of_garbage_costs_its_chunk(inventory, build, find, tmp_path, monkeypatch, capsys, line):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    stopped(inventory, build, find)
    rows = tmp_path / "work-store/rows.jsonl"
    first, one, _, three = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(first + one + line + three)
    finder = find()
    build(inventory)
    said = capsys.readouterr().out
    assert set(finder.seen) == {2, 3, 6}
    assert f"{rows} is damaged; 1 of its 3 chunks are done again" in said and "going on from photo 4 of 7" in said
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_number_changed_in_the_journal_is_noticed(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    stopped(inventory, build, find)
    rows = tmp_path / "work-store/rows.jsonl"
    text = rows.read_text()
    assert text.count("14.0") == 1  # left edge of photo 4
    rows.write_text(text.replace("14.0", "15.0"))
    find()
    build(inventory)
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "other shape", "gone"])
def test_pixels_that_are_not_what_the_rows_vouch_for_are_made_anew(
    inventory, build, find, tmp_path, monkeypatch, capsys, damage
):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    stopped(inventory, build, find)
    pixels = tmp_path / "work-store/pixels.npy"
    good = pixels.read_bytes()
    if damage == "gone":
        pixels.unlink()
    elif damage == "other shape":
        np.save(pixels, np.zeros((6, 32, 32, 3), np.uint8))
    else:
        pixels.write_bytes({"cut": good[:-1], "empty": b"", "garbage": b"\xff" * len(good)}[damage])
    finder = find()
    build(inventory)
    assert set(finder.seen) == set(range(7)) and equal_files(tmp_path, "store", "undisturbed")
    said = [line for line in capsys.readouterr().out.splitlines() if "starting this set anew" in line]
    assert len(said) == (damage != "gone")


def test_a_journal_line_cut_off_by_a_kill_costs_one_chunk_only(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    for stop_at, rest in ((2, '[2, [["mtcnn", 10.'), (6, "")):
        find(stop_at=stop_at)
        with pytest.raises(KeyboardInterrupt):
            build(inventory)
        with open(tmp_path / "work-store/rows.jsonl", "a") as file:
            file.write(rest)
    finder = find()
    build(inventory)
    assert finder.seen == [6] and equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("change", ["params", "inventory"])
def test_work_for_other_inputs_is_thrown_away(inventory, build, find, tmp_path, monkeypatch, change):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    params = crop_params(margin=0.8) if change == "params" else crop_params()
    inventory = inventory.iloc[::-1].reset_index(drop=True) if change == "inventory" else inventory
    finder = find()
    build(inventory, params)
    assert sorted(finder.seen) == list(range(7))
    build(inventory, params, to="undisturbed")
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_kill_while_work_is_thrown_away_leaves_no_wrong_pixels(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)

    create = np.lib.format.open_memmap

    def killed(*args, **kwargs):
        create(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np.lib.format, "open_memmap", killed)
        build(inventory, crop_params(margin=0.8))
    find()
    build(inventory)
    assert equal_files(tmp_path, "store", "undisturbed")


def test_work_of_other_code_is_not_gone_on_with(inventory, build, find, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    monkeypatch.setattr(journal, "code_digest", lambda: "changed")
    finder = find()
    build(inventory)
    assert sorted(finder.seen) == list(range(7))
