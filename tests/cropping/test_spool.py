import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cropped import MISSED, equal_files
from tiny import crop_params

from portrait18.cropping import spool
from portrait18.dataset import photos

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)


@pytest.fixture
def opened(monkeypatch):
    """Count how often each photo file is opened."""
    counts: Counter = Counter()

    def read(path, max_pixels, read=photos.read):
        counts[Path(path).name] += 1
        return read(path, max_pixels)

    monkeypatch.setattr(photos, "read", read)
    return counts


@pytest.mark.parametrize("method", ["mtcnn", "center"])
def test_no_photo_is_opened_more_than_once(inventory, build, find, opened, method, tmp_path):
    find(missed=MISSED)
    build(inventory, crop_params(method=method))
    assert opened == {f"{i}.png": 1 for i in range(7)}
    assert not list((tmp_path / "work-store").glob("**/*.npz"))


def test_photos_that_do_not_fit_are_opened_again_with_the_same_result(
    inventory, build, find, opened, tmp_path, monkeypatch
):
    find(missed=MISSED)
    build(inventory)
    opened.clear()
    monkeypatch.setattr(spool, "MAX_BYTES", 0)
    build(inventory, to="without spool")
    assert {name for name, count in opened.items() if count == 2} == {"2.png", "6.png"}
    assert equal_files(tmp_path, "store", "without spool")


@pytest.mark.usefixtures("small_chunks")
def test_a_resumed_run_opens_only_the_remaining_photos(
    inventory, build, find, killed, opened, tmp_path
):
    find(missed=MISSED)
    build(inventory, to="undisturbed")
    killed(inventory, missed=MISSED, stop_at=5)
    opened.clear()
    find(missed=MISSED)
    build(inventory)
    assert set(opened) == {"4.png", "5.png", "6.png"}
    assert set(opened.values()) == {1}
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "gone"])
def test_a_resumed_run_ignores_damaged_pixels(
    inventory, build, find, killed, opened, tmp_path, damage
):
    find(missed=MISSED)
    build(inventory, to="undisturbed")
    killed(inventory, missed=MISSED, stop_at=5)
    [saved] = (tmp_path / "work-store").glob("**/*.npz")
    content = bytearray(saved.read_bytes())
    if damage == "gone":
        saved.unlink()
    elif damage == "changed":
        content[len(content) // 2] ^= 255
        saved.write_bytes(content)
    else:
        os.truncate(saved, len(content) // 2 if damage == "cut" else 0)
    opened.clear()
    find(missed=MISSED)
    build(inventory)
    assert opened["2.png"] == 1
    assert equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.usefixtures("small_chunks")
def test_pixels_of_a_run_with_other_params_are_not_used(inventory, build, find, killed, tmp_path):
    killed(inventory, crop_params(margin=0.8), missed=MISSED, stop_at=5)
    [saved] = (tmp_path / "work-store").glob("**/*.npz")
    find(stop_at=0)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    assert not saved.exists()


def test_saved_photos_are_returned_unchanged(tmp_path):
    pixels = spool.PixelSpool(tmp_path / "spool")
    assert pixels.load("a", 40, 30) is None
    pixels.save("a", PHOTO)
    assert (pixels.load("a", 40, 30) == PHOTO).all()
    assert pixels.load("a", 30, 40) is None
    pixels.clear()
    assert pixels.load("a", 40, 30) is None


def test_the_limit_includes_photos_of_earlier_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MAX_BYTES", 3 * PHOTO.nbytes)
    first = spool.PixelSpool(tmp_path / "spool")
    for key in "abcd":
        first.save(key, PHOTO)
    assert sorted(path.stem for path in first.folder.iterdir()) == ["a", "b", "c"]
    (first.folder / "b.npz").unlink()
    second = spool.PixelSpool(tmp_path / "spool", share=0.5)
    second.save("d", PHOTO)
    assert second.load("d", 40, 30) is None, "half of the space left does not hold a photo"


def test_a_full_disk_disables_the_spool(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    pixels = spool.PixelSpool(tmp_path / "spool")
    with monkeypatch.context() as patch:
        patch.setattr(spool.np, "savez", fail)
        pixels.save("a", PHOTO)
    pixels.save("b", PHOTO)
    assert list(pixels.folder.iterdir()) == []
