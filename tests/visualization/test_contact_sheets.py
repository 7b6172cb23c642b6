import numpy as np
import pytest
from PIL import Image

from portrait18.visualization import contact_sheets
from portrait18.visualization.contact_sheets import Layout

CROPS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    "captions", [{}, {i: f"a long caption {i}" for i in range(5)}], ids=["empty", "five"]
)
def test_a_sheet_is_a_png_with_stable_bytes(tmp_path, captions):
    for name in ("first.png", "again.png"):
        contact_sheets.contact_sheet(CROPS, captions, tmp_path / name)
    with Image.open(tmp_path / "first.png") as image:
        assert image.format == "PNG"
        assert image.size == (12 * 100 + 4, 120)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_a_sheet_shows_the_selected_crops_in_order(tmp_path):
    crops = np.zeros((4, 8, 8, 3), np.uint8)
    crops[1, ..., 0] = crops[3, ..., 2] = 255
    contact_sheets.contact_sheet(
        crops, {3: "blue", 1: "red"}, tmp_path / "sheet.png", Layout(2, 50, 1)
    )
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (4 + 50 + 16 + 4, 2 * 54 + 4, 3)
    assert sheet[25, 25].tolist() == [0, 0, 255]
    assert sheet[25, 80].tolist() == [255, 0, 0]


def test_photos_beyond_the_columns_start_a_new_row(tmp_path):
    contact_sheets.contact_sheet(
        CROPS, dict.fromkeys(range(5), "x"), tmp_path / "sheet.png", Layout(2, 30, 1)
    )
    assert Image.open(tmp_path / "sheet.png").size == (2 * 34 + 4, 3 * 50 + 4)


def ink(path, box) -> np.ndarray:
    """Return whether each pixel in a box of a sheet is dark."""
    return np.asarray(Image.open(path).convert("L").crop(box)) < 128


def test_captions_are_limited_to_the_lines_of_the_layout(tmp_path):
    path, layout = tmp_path / "sheet.png", Layout(1, 60, 2)
    contact_sheets.contact_sheet(
        np.full((1, 8, 8, 3), 255, np.uint8), {0: "one\ntwo\nthree"}, path, layout
    )
    assert Image.open(path).size == (60 + 8, 60 + 2 * 16 + 8)
    assert ink(path, (4, 65, 64, 80)).any()
    assert ink(path, (4, 81, 64, 96)).any()
    assert not ink(path, (0, 97, 68, 100)).any(), "no third line"


def test_captions_are_cut_off_at_the_width_of_their_tile(tmp_path):
    path = tmp_path / "sheet.png"
    contact_sheets.contact_sheet(
        np.full((1, 8, 8, 3), 255, np.uint8), {0: "W" * 40}, path, Layout(2, 60, 1)
    )
    assert ink(path, (40, 64, 64, 84)).any()
    assert not ink(path, (66, 64, 132, 84)).any()


@pytest.mark.parametrize("layout", [contact_sheets.SMALL, contact_sheets.LARGE, Layout(2, 32, 3)])
def test_read_photos_returns_the_photos_of_a_sheet(tmp_path, layout):
    crops = np.stack(
        [np.asarray(Image.fromarray(c).resize((layout.tile, layout.tile))) for c in CROPS]
    )
    contact_sheets.contact_sheet(crops, {3: "x", 0: "y", 4: "z"}, tmp_path / "sheet.png", layout)
    tiles = contact_sheets.read_photos(tmp_path / "sheet.png", 3, layout)
    np.testing.assert_array_equal(np.stack([np.asarray(tile) for tile in tiles]), crops[[3, 0, 4]])


def test_an_empty_sheet_shows_its_text(tmp_path):
    for name, text in (("a", "none"), ("b", "no mistakes")):
        contact_sheets.contact_sheet(CROPS, {}, tmp_path / f"{name}.png", empty_text=text)
    assert (
        ink(tmp_path / "a.png", (0, 0, 200, 30)).sum()
        < ink(tmp_path / "b.png", (0, 0, 200, 30)).sum()
    )
