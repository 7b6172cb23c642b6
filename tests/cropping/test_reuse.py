import ast
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from cropped import equal_files
from PIL import Image
from synthetic import REPO
from tiny import crop_params

from portrait18.cropping import crops, reuse
from portrait18.data.inventory import probe


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    monkeypatch.setattr(reuse, "COPIED", 2)


@pytest.fixture
def killed(build, find):
    """killed(inventory, stop_at=) runs until photo `stop_at` comes before the detector."""

    def run(inventory, params=None, **how):
        finder = find(**how)
        with pytest.raises(KeyboardInterrupt):
            build(inventory, params)
        return finder

    return run


@pytest.fixture
def grown(inventory, tmp_path):
    """A later inventory: photo 1 has changed, b's 5 is gone, there are three new photos, and all stand in another order."""
    images = tmp_path / "images"
    for number, name in ((11, "a/1.png"), (12, "aa/0.png"), (13, "b/9.png"), (14, "d/0.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 60, 3), np.uint8)
        pixels[0, 0] = number
        (images / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(images / name)
    names = ["d/0.png", "a/2.png", "a/0.png", "aa/0.png", "a/3.png", "a/1.png", "b/9.png", "b/4.png", "c/6.png"]
    table = pd.DataFrame({"photo": names, "folder": [name.split("/")[0] for name in names]})
    return probe(table, images, 10**6)[0]


#: In both inventories a photo without a face whose person has others, and one whose person has none.
MISSED = {2: "both", 6: "both", 0: "first"}


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(inventory, build, find, killed, tmp_path):
    missed = {3: "both", 6: "both"}
    find(missed=missed)
    build(inventory, to="undisturbed")
    killed(inventory, missed=missed, stop_at=4)
    assert not (tmp_path / "store").exists()
    finder = find(missed=missed)
    build(inventory)
    assert set(finder.seen) == {4, 5, 6}
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_journal_line_cut_off_by_a_kill_costs_one_chunk_only(inventory, build, find, killed, tmp_path):
    find()
    build(inventory, to="undisturbed")
    for stop_at, rest in ((2, '[[2, "key", ["mtcnn", 10.'), (6, "")):
        killed(inventory, stop_at=stop_at)
        with open(tmp_path / "work-store/rows.jsonl", "a") as file:
            file.write(rest)
    finder = find()
    build(inventory)
    assert finder.seen == [6] and equal_files(tmp_path, "store", "undisturbed")


def test_only_new_and_changed_photos_go_through_the_detector(inventory, grown, build, find, tmp_path, capsys):
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
    assert "5 of 9 photos are as in the last run: their crops are taken over" in capsys.readouterr().out
    assert equal_files(tmp_path, "store", "from scratch")
    assert "person" in before and "median" in before, "photos without a face must be among those taken over"


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
    assert finder.seen == [] and equal_files(tmp_path, "store", "before")


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
    assert set(seen) | set(finder.seen) == {11, 12, 13, 14} and len(set(seen) & set(finder.seen)) <= 1
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
def test_a_kill_at_the_very_end_costs_no_crop(inventory, build, find, tmp_path, monkeypatch, moment):
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
    assert finder.seen == [] and equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("change", ["params", "code", "library", "device"])
@pytest.mark.parametrize("when", ["killed", "finished"])
def test_crops_made_otherwise_are_not_used(inventory, build, find, killed, tmp_path, monkeypatch, change, when):
    killed(inventory, stop_at=4)
    if when == "finished":
        find()
        build(inventory)
    params = crop_params(margin=0.8) if change == "params" else crop_params()
    if change == "code":
        monkeypatch.setattr(reuse, "code_digest", lambda *modules: "changed")
    if change == "library":
        monkeypatch.setattr(torch, "__version__", "9")
    finder = find()
    if change == "device":
        crops.build(inventory, tmp_path / "store", "set", params, tmp_path / "work-store", torch.device("meta"))
    else:
        build(inventory, params)
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
        assert finder.seen == [] and equal_files(tmp_path, "store", "undisturbed")


def test_a_finished_store_is_a_link_that_the_next_run_does_not_write_to(inventory, grown, build, find, tmp_path):
    find(missed=MISSED)
    build(inventory)
    store, work = tmp_path / "store/set.npy", tmp_path / "work-store"
    [kept] = work.glob("*.npy")
    assert kept.samefile(store)
    elsewhere = tmp_path / "elsewhere.npy"  # as a cache may have it
    for table, known in ((grown, True), (inventory, True), (grown, False), (inventory, False)):
        elsewhere.unlink(missing_ok=True)
        os.link(store, elsewhere)
        before = elsewhere.read_bytes()
        if not known:
            (work / "last.jsonl").unlink()
        build(table)
        assert elsewhere.read_bytes() == before
    assert sorted(p.suffix for p in work.iterdir()) == [".jsonl", ".npy"]


def test_where_links_are_not_possible_the_pixels_are_copied(inventory, grown, build, find, tmp_path, monkeypatch):
    find()
    build(grown, to="from scratch")

    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    build(inventory)
    finder = find()
    build(grown)
    assert sorted(finder.seen) == [11, 12, 13, 14] and equal_files(tmp_path, "store", "from scratch")


@pytest.mark.parametrize("damage", ["pixels gone", "pixels cut", "record cut", "record of an earlier version"])
def test_a_damaged_last_run_costs_time_alone(inventory, build, find, tmp_path, damage):
    find()
    build(inventory, to="undisturbed")
    build(inventory)
    work = tmp_path / "work-store"
    [pixels], record = work.glob("*.npy"), work / "last.jsonl"
    if damage == "pixels gone":
        pixels.unlink()
    elif damage == "pixels cut":
        os.truncate(pixels, 1000)
    elif damage == "record cut":
        os.truncate(record, len(record.read_text()) * 2 // 3)
    else:
        record.write_text('"a fingerprint"\n[0, [["mtcnn", 1, 2, 3, 4, 5, 6, []]]]\n')
    finder = find()
    build(inventory)
    assert finder.seen if damage == "record cut" else sorted(finder.seen) == list(range(7))
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("size", [0, 1000, None])
def test_a_killed_run_whose_pixels_are_damaged_or_gone_is_begun_anew(inventory, build, find, killed, tmp_path, size):
    find()
    build(inventory, to="undisturbed")
    killed(inventory, stop_at=4)
    [pixels] = (tmp_path / "work-store").glob("*.npy")
    os.truncate(pixels, size) if size is not None else pixels.unlink()
    finder = find()
    build(inventory)
    assert sorted(finder.seen) == list(range(7)) and equal_files(tmp_path, "store", "undisturbed")


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
    assert finder.seen == [] and found.found[4] == "none" and equal_files(tmp_path, "store", "before")


def test_every_module_that_a_crop_depends_on_is_watched():
    neutral = {"classes", "errors", "files", "params"}  # names, messages, whole files; params are in the fingerprint
    imported = set()
    for name in reuse.CODE:
        for node in ast.walk(ast.parse((REPO / f"portrait18/{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "portrait18":
                inside = node.module.removeprefix("portrait18").lstrip(".").replace(".", "/")
                is_file = (REPO / f"portrait18/{inside}.py").is_file()
                imported |= {inside} if is_file else {f"{inside}/{alias.name}".strip("/") for alias in node.names}
    assert imported - neutral <= set(reuse.CODE) <= imported | {"cropping/crops"}
