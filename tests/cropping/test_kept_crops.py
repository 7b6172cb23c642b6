import os

import pytest
from cropped import MISSED, equal_files

pytestmark = pytest.mark.usefixtures("small_chunks")


def test_a_finished_store_is_a_link_that_the_next_run_does_not_overwrite(
    inventory, grown, build, find, tmp_path
):
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


def test_without_links_the_pixels_are_copied(inventory, grown, build, find, tmp_path, monkeypatch):
    find()
    build(grown, to="from scratch")

    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    build(inventory)
    detector = find()
    build(grown)
    assert sorted(detector.seen) == [11, 12, 13, 14]
    assert equal_files(tmp_path, "store", "from scratch")


@pytest.mark.parametrize(
    "damage", ["pixels gone", "pixels cut", "record cut", "record of an earlier version"]
)
def test_a_damaged_last_run_only_costs_time(inventory, build, find, tmp_path, damage):
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
    detector = find()
    build(inventory)
    assert detector.seen if damage == "record cut" else sorted(detector.seen) == list(range(7))
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("size", [0, 1000, None])
def test_a_killed_run_with_damaged_or_missing_pixels_starts_again(
    inventory, build, find, killed, tmp_path, size
):
    find()
    build(inventory, to="undisturbed")
    killed(inventory, stop_at=4)
    [pixels] = (tmp_path / "work-store").glob("*.npy")
    os.truncate(pixels, size) if size is not None else pixels.unlink()
    detector = find()
    build(inventory)
    assert sorted(detector.seen) == list(range(7))
    assert equal_files(tmp_path, "store", "undisturbed")
