"""`portrait18 predict --draw`: copies of photos with boxes and predictions."""

import numpy as np
import pytest
from PIL import Image
from tiny import demo_photo

from portrait18.dataset import photos


def test_annotated_copies_keep_the_folders_and_show_the_predictions(predict, folder):
    before = (folder / "photos/pair.png").read_bytes()
    Image.fromarray(demo_photo()).save(folder / "photos/sub/two.bmp")
    status, _, _ = predict("photos", "--draw", "drawn")
    drawn = sorted(
        str(path.relative_to(folder / "drawn")) for path in (folder / "drawn").rglob("*.*")
    )
    assert status == 0
    assert drawn == ["pair.png", "sub/one.png", "sub/two.bmp.png", "zero.jpg"]
    assert (folder / "photos/pair.png").read_bytes() == before
    photo, copy = (photos.read(folder / f"{name}/pair.png") for name in ("photos", "drawn"))
    changed = np.abs(copy.astype(int) - photo).max(2) > 50
    width = demo_photo().shape[1]
    assert changed[:, :width].sum() > 500 < changed[:, width:].sum()
    assert changed.mean() < 0.4
    assert photos.read(folder / "drawn/zero.jpg").shape == (120, 100, 3)


def test_annotated_copies_never_overwrite_the_photos(predict, folder, capsys):
    before = (folder / "photos/pair.png").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        predict("photos", "--draw", "photos")
    assert stopped.value.code == 1
    assert "name another folder" in capsys.readouterr().err
    assert (folder / "photos/pair.png").read_bytes() == before


def test_annotated_copies_stay_in_their_folder_and_never_overwrite_each_other(
    predict, folder, capsys
):
    (folder / "a").mkdir()
    for name in ("a/one.tif", "a/one.tif.png"):
        Image.fromarray(demo_photo()).save(folder / name)
    with pytest.raises(SystemExit) as stopped:
        predict("a", "--draw", "drawn")
    assert stopped.value.code == 1
    assert "two photos would be drawn as drawn/one.tif.png" in capsys.readouterr().err
    predict("a/one.tif", "a/../photos/zero.jpg", "--draw", "drawn")
    drawn = sorted(str(path.relative_to(folder)) for path in (folder / "drawn").rglob("*.*"))
    assert drawn == ["drawn/a/one.tif.png", "drawn/photos/zero.jpg"]


def test_annotated_copies_with_names_too_long_for_the_disk_are_refused_before_predicting(
    predict, folder, capsys
):
    """The copy of a BMP gets the suffix .png, too."""
    Image.fromarray(demo_photo()).save(folder / ("x" * 248 + ".bmp"))
    with pytest.raises(SystemExit):
        predict("x" * 248 + ".bmp", "photos", "--draw", "drawn")
    [line] = capsys.readouterr().err.splitlines()
    assert "has a name of 256 bytes, at most 255 are allowed; shorten it" in line
    assert not (folder / "drawn").exists()


def test_a_copy_of_a_photo_with_the_longest_possible_name_is_drawn(predict, folder):
    name = "x" * 251 + ".png"
    Image.fromarray(demo_photo()).save(folder / name)
    status, _, _ = predict(name, "--draw", "drawn")
    assert status == 0
    assert photos.read(folder / "drawn" / name).shape == demo_photo().shape
