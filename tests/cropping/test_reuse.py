import os
import shutil

import pytest
import torch
from cropped import MISSED, equal_files
from tiny import crop_params

from portrait18.cropping import reuse
from portrait18.dataset.probing import probe

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(
    inventory, build, find, killed, tmp_path
):
    missed = {3: "both", 6: "both"}
    find(missed=missed)
    build(inventory, to="undisturbed")
    killed(inventory, missed=missed, stop_at=4)
    assert not (tmp_path / "store").exists()
    detector = find(missed=missed)
    build(inventory)
    assert set(detector.seen) == {4, 5, 6}
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
    detector = find()
    build(inventory)
    assert detector.seen == [6]
    assert equal_files(tmp_path, "store", "undisturbed")


def test_only_new_and_changed_photos_go_through_the_detector(
    inventory, grown, build, find, tmp_path, capsys
):
    detector = find(missed=MISSED)
    build(grown, to="from scratch")
    assert set(detector.seen) == {0, 2, 3, 4, 6, 11, 12, 13, 14}
    find(missed=MISSED)
    build(inventory)
    before = (tmp_path / "store/set.csv").read_text()
    detector = find(missed=MISSED)
    capsys.readouterr()
    build(grown)
    assert sorted(detector.seen) == [11, 12, 13, 14]
    assert "5 of 9 photos are unchanged: reusing their crops" in capsys.readouterr().out
    assert equal_files(tmp_path, "store", "from scratch")
    for source in ("person", "median"):
        assert source in before, "photos without a face must be among the reused ones"


def test_photos_are_compared_with_the_last_run(inventory, grown, build, find):
    find()
    for table in (inventory, grown):
        build(table)
    detector = find()
    build(inventory)
    assert sorted(detector.seen) == [5, 11]  # removed and changed in the run before


def test_nothing_new_runs_no_detector(inventory, build, find, tmp_path):
    find(missed=MISSED)
    build(inventory)
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    detector = find()
    build(inventory)
    assert detector.seen == []
    assert equal_files(tmp_path, "store", "before")


@pytest.mark.parametrize("stop_at", [11, 12, 13, 14])
def test_a_run_killed_while_it_copies_ends_with_the_same_bytes(
    inventory, grown, build, find, killed, tmp_path, monkeypatch, stop_at
):
    find(missed=MISSED)
    build(grown, to="from scratch")
    build(inventory)
    copied = []

    def add(work, rows, add=reuse.Work.add):
        add(work, rows)
        copied.append(rows)
        if len(copied) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reuse.Work, "add", add)
        with pytest.raises(KeyboardInterrupt):
            build(grown)
    seen = killed(grown, missed=MISSED, stop_at=stop_at).seen
    detector = find(missed=MISSED)
    build(grown)
    # A chunk is two photos: complete chunks are not processed again.
    assert set(seen) | set(detector.seen) == {11, 12, 13, 14}
    assert len(set(seen) & set(detector.seen)) <= 1
    assert equal_files(tmp_path, "store", "from scratch")


def test_work_of_a_killed_run_survives_a_change_of_photos(
    inventory, grown, build, find, killed, tmp_path
):
    find(missed=MISSED)
    build(grown, to="from scratch")
    killed(inventory, missed=MISSED, stop_at=4)
    detector = find(missed=MISSED)
    build(grown)
    assert set(detector.seen) == {4, 6, 11, 12, 13, 14}
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

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, kill)
        with pytest.raises(KeyboardInterrupt):
            build(inventory)
    detector = find()
    build(inventory)
    assert detector.seen == []
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("change", ["params", "code", "library", "device"])
@pytest.mark.parametrize("when", ["killed", "finished"])
def test_crops_of_other_params_code_libraries_or_devices_are_not_reused(
    inventory, build, find, killed, tmp_path, monkeypatch, change, when
):
    killed(inventory, stop_at=4)
    if when == "finished":
        find()
        build(inventory)
    params = crop_params(margin=0.8) if change == "params" else crop_params()
    if change == "library":
        monkeypatch.setattr(torch, "__version__", "9")
    detector = find()
    device = "meta" if change == "device" else "cpu"
    build(inventory, params, code="changed" if change == "code" else "", device=device)
    assert sorted(detector.seen) == list(range(7))
    build(inventory, params, to="undisturbed")
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_kill_after_a_change_leaves_no_wrong_pixels(inventory, build, find, killed, tmp_path):
    find()
    build(inventory, to="undisturbed")
    build(inventory)
    for stop_at in (0, 4):
        killed(inventory, crop_params(margin=0.8), stop_at=stop_at)
        detector = find()
        build(inventory)
        assert detector.seen == []
        assert equal_files(tmp_path, "store", "undisturbed")


def test_twins_and_undecodable_photos_are_reused_too(inventory, build, find, tmp_path):
    shutil.copy(tmp_path / "images/a/0.png", tmp_path / "images/a/1.png")
    table, *_ = probe(inventory[["photo", "folder"]], tmp_path / "images", 10**6)
    (tmp_path / "images/b/4.png").write_bytes(b"no photo")
    table.loc[4, ["width", "height", "digest"]] = [0, 0, ""]
    find()
    build(table)
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    detector = find()
    _, found = build(table)
    assert detector.seen == []
    assert found.found[4] == "none"
    assert equal_files(tmp_path, "store", "before")
