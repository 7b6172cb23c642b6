import os
import shutil

import pytest
import torch
from cropped import MISSED, equal_files
from tiny import crop_params

from portrait18.cropping import builder, reuse
from portrait18.dataset.inventory import probe

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    inventory, build, find, killed, tmp_path
):
    missed = {3: "both", 6: "both"}
    find(missed=missed)
    build(inventory, to="undisturbed")
    killed(inventory, missed=missed, stop_at=4)
    assert not (tmp_path / "store").exists()
    finder = find(missed=missed)
    build(inventory)
    assert set(finder.seen) == {4, 5, 6}
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_journal_line_cut_off_by_a_kill_costs_one_chunk_only(
    inventory, build, find, killed, tmp_path
):
    find()
    build(inventory, to="undisturbed")
    for stop_at, rest in ((2, '[[2, "key", ["mtcnn", 10.'), (6, "")):
        killed(inventory, stop_at=stop_at)
        with open(tmp_path / "work-store/rows.jsonl", "a") as file:
            file.write(rest)
    finder = find()
    build(inventory)
    assert finder.seen == [6]
    assert equal_files(tmp_path, "store", "undisturbed")


def test_only_new_and_changed_photos_go_through_the_detector(
    inventory, grown, build, find, tmp_path, capsys
):
    finder = find(missed=MISSED)
    build(grown, to="from scratch")
    assert set(finder.seen) == {0, 2, 3, 4, 6, 11, 12, 13, 14}
    find(missed=MISSED)
    build(inventory)
    before = (tmp_path / "store/set.csv").read_text()
    finder = find(missed=MISSED)
    capsys.readouterr()
    build(grown)
    assert sorted(finder.seen) == [11, 12, 13, 14]
    assert (
        "5 of 9 photos are as in the last run: their crops are taken over"
        in capsys.readouterr().out
    )
    assert equal_files(tmp_path, "store", "from scratch")
    assert "person" in before and "median" in before, (
        "photos without a face must be among those taken over"
    )


def test_what_is_compared_with_is_the_last_run(inventory, grown, build, find):
    find()
    for table in (inventory, grown):
        build(table)
    finder = find()
    build(inventory)
    assert sorted(finder.seen) == [5, 11]  # gone, and other content, in the run before


def test_nothing_new_runs_no_detector(inventory, build, find, tmp_path):
    find(missed=MISSED)
    build(inventory)
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    finder = find()
    build(inventory)
    assert finder.seen == []
    assert equal_files(tmp_path, "store", "before")


@pytest.mark.parametrize("stop_at", [11, 12, 13, 14])
def test_a_run_killed_while_it_takes_over_ends_with_the_same_bytes(
    inventory, grown, build, find, killed, tmp_path, monkeypatch, stop_at
):
    find(missed=MISSED)
    build(grown, to="from scratch")
    build(inventory)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        copied = []

        def add(work, rows, add=reuse.Work.add):
            add(work, rows)
            copied.append(rows)
            if len(copied) == 2:
                raise KeyboardInterrupt

        patch.setattr(reuse.Work, "add", add)
        build(grown)
    seen = killed(grown, missed=MISSED, stop_at=stop_at).seen
    finder = find(missed=MISSED)
    build(grown)
    # A chunk is two photos: what came before the one that the kill met is not looked at again.
    assert set(seen) | set(finder.seen) == {11, 12, 13, 14}
    assert len(set(seen) & set(finder.seen)) <= 1
    assert equal_files(tmp_path, "store", "from scratch")


def test_work_of_a_killed_run_is_kept_when_photos_change_before_the_next(
    inventory, grown, build, find, killed, tmp_path
):
    find(missed=MISSED)
    build(grown, to="from scratch")
    killed(inventory, missed=MISSED, stop_at=4)
    finder = find(missed=MISSED)
    build(grown)
    assert set(finder.seen) == {4, 6, 11, 12, 13, 14}
    assert equal_files(tmp_path, "store", "from scratch")


@pytest.mark.parametrize("moment", ["replace", "link"])
def test_a_kill_at_the_very_end_costs_no_crop(
    inventory, build, find, tmp_path, monkeypatch, moment
):
    find(missed=MISSED)
    build(inventory, to="undisturbed")

    real = getattr(os, moment)

    def kill(*paths):
        if moment == "replace" and "last.jsonl" not in str(paths[1]):
            return real(*paths)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, moment, kill)
        build(inventory)
    finder = find()
    build(inventory)
    assert finder.seen == []
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("change", ["params", "code", "library", "device"])
@pytest.mark.parametrize("when", ["killed", "finished"])
def test_crops_made_otherwise_are_not_used(
    inventory, build, find, killed, tmp_path, monkeypatch, change, when
):
    killed(inventory, stop_at=4)
    if when == "finished":
        find()
        build(inventory)
    params = crop_params(margin=0.8) if change == "params" else crop_params()
    if change == "library":
        monkeypatch.setattr(torch, "__version__", "9")
    finder = find()
    where = torch.device("meta" if change == "device" else "cpu")
    code = "changed" if change == "code" else ""
    builder.build(
        inventory, tmp_path / "store", "set", params, tmp_path / "work-store", where, code
    )
    assert sorted(finder.seen) == list(range(7))
    build(inventory, params, to="undisturbed")
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_kill_after_a_change_leaves_no_wrong_pixels(inventory, build, find, killed, tmp_path):
    find()
    build(inventory, to="undisturbed")
    build(inventory)
    for stop_at in (0, 4):
        killed(inventory, crop_params(margin=0.8), stop_at=stop_at)
        finder = find()
        build(inventory)
        assert finder.seen == []
        assert equal_files(tmp_path, "store", "undisturbed")


def test_twins_and_undecodable_photos_are_taken_over_too(inventory, build, find, tmp_path):
    shutil.copy(tmp_path / "images/a/0.png", tmp_path / "images/a/1.png")
    table, _ = probe(inventory[["photo", "folder"]], tmp_path / "images", 10**6)
    (tmp_path / "images/b/4.png").write_bytes(b"no photo")
    table.loc[4, ["width", "height", "digest"]] = [0, 0, ""]
    find()
    build(table)
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    finder = find()
    _, found = build(table)
    assert finder.seen == []
    assert found.found[4] == "none"
    assert equal_files(tmp_path, "store", "before")
