import numpy as np
import pytest
from PIL import ImageColor

from portrait18.deployment import annotation

GREY = np.full((400, 300, 3), 128, np.uint8)


def where(image, color):
    """x0, y0, x1, y1 of all pixels of a color."""
    rows, columns = np.nonzero((np.asarray(image) == ImageColor.getrgb(color)).all(2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_a_box_is_drawn_where_the_face_is_and_its_label_above_it():
    image = annotation.annotated(GREY, [(100.0, 150.0, 200.0, 260.0)], [["one", "two"]])
    x0, y0, x1, y1 = where(image, annotation.COLORS[0])
    assert (x0, x1, y1) == (100, 200, 260)
    assert 90 < y0 < 135
    pixels = np.asarray(image)
    assert (pixels[180:240, 120:180] == 128).all(), "the face itself stays as it is"
    assert (pixels[y0:150, 100:200] == 255).all(2).any(), "white letters"
    assert (GREY == 128).all()
    assert image.size == (300, 400)


def test_nothing_is_drawn_where_there_is_no_face():
    assert (np.asarray(annotation.annotated(GREY, [], [])) == GREY).all()


@pytest.mark.parametrize(
    "box", [(-20.0, -10.0, 80.0, 90.0), (250.0, 350.0, 330.0, 420.0), (0.0, 0.0, 300.0, 400.0)]
)
def test_a_label_stays_within_the_photo(box):
    plate = annotation._place(box, (90, 40), (300, 400), [])
    assert plate[0] >= 0
    assert plate[2] <= 300
    assert plate[1] >= 0
    assert plate[3] <= 400
    assert plate[2] - plate[0] == 90
    assert plate[3] - plate[1] == 40


def test_labels_of_neighbours_do_not_cover_each_other():
    boxes = [(20.0, 100.0, 90.0, 180.0), (60.0, 100.0, 130.0, 180.0), (40.0, 100.0, 110.0, 180.0)]
    taken = []
    for box in boxes:
        taken.append(annotation._place(box, (90, 40), (300, 400), taken))
    for n, one in enumerate(taken):
        for other in taken[n + 1 :]:
            assert (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )


def test_letters_grow_with_the_photo_and_stay_legible_on_small_ones():
    heights = {}
    for factor in (1, 8):
        photo = np.full((120 * factor, 100 * factor, 3), 128, np.uint8)
        box = (40.0 * factor, 60.0 * factor, 80.0 * factor, 100.0 * factor)
        image = annotation.annotated(photo, [box], [["mask"]])
        rows = np.nonzero((np.asarray(image) > 180).all(2).any(1))[0]
        heights[factor] = rows.max() - rows.min() + 1
    assert heights[1] >= 7
    assert heights[8] >= 1.8 * heights[1]
