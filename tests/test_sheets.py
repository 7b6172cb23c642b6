import numpy as np
import pytest
from PIL import Image

from portrait18 import sheets

CROPS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("captions", [{}, {i: f"a long caption {i}" for i in range(5)}], ids=["empty", "five"])
def test_a_sheet_opens_and_has_the_same_bytes_every_time(tmp_path, captions):
    for name in ("first.png", "again.png"):
        sheets.contact_sheet(CROPS, captions, tmp_path / name)
    with Image.open(tmp_path / "first.png") as image:
        assert image.format == "PNG" and image.size == (12 * 100 + 4, 120)
        assert len(image.getcolors(2**24)) > 5
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_the_contact_sheet_shows_the_asked_crops_in_order(tmp_path):
    crops = np.zeros((4, 8, 8, 3), np.uint8)
    crops[1, ..., 0] = crops[3, ..., 2] = 255
    sheets.contact_sheet(crops, {3: "blue", 1: "red"}, tmp_path / "sheet.png", columns=2, tile=50)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (4 + 50 + 16 + 4, 2 * 54 + 4, 3)
    assert sheet[25, 25].tolist() == [0, 0, 255] and sheet[25, 80].tolist() == [255, 0, 0]


def test_the_contact_sheet_breaks_into_rows(tmp_path):
    sheets.contact_sheet(CROPS, dict.fromkeys(range(5), "x"), tmp_path / "sheet.png", columns=2, tile=30)
    assert Image.open(tmp_path / "sheet.png").size == (2 * 34 + 4, 3 * 50 + 4)
