import numpy as np
import pytest
from PIL import ImageColor

from portrait18.deployment import annotation

GRAY = np.full((400, 300, 3), 128, np.uint8)


def bounds(image, color):
    """x0, y0, x1, y1 of all pixels of a color."""
    rows, columns = np.nonzero((np.asarray(image) == ImageColor.getrgb(color)).all(2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_the_box_is_around_the_face_and_the_label_above_it():
    image = annotation.annotate(GRAY, [(100.0, 150.0, 200.0, 260.0)], [["one", "two"]])
    x0, y0, x1, y1 = bounds(image, annotation.COLORS[0])
    assert (x0, x1, y1) == (100, 200, 260)
    assert 90 < y0 < 135
    pixels = np.asarray(image)
    assert (pixels[180:240, 120:180] == 128).all(), "the face itself is unchanged"
    assert (pixels[y0:150, 100:200] == 255).all(2).any(), "white letters"
    assert (GRAY == 128).all()
    assert image.size == (300, 400)


def test_a_photo_without_faces_is_unchanged():
    assert (np.asarray(annotation.annotate(GRAY, [], [])) == GRAY).all()


@pytest.mark.parametrize(
    "box", [(-20.0, -10.0, 80.0, 90.0), (250.0, 350.0, 330.0, 420.0), (0.0, 0.0, 300.0, 400.0)]
)
def test_a_label_stays_within_the_photo(box):
    label = annotation.place_label(box, (90, 40), (300, 400), [])
    assert label[0] >= 0
    assert label[2] <= 300
    assert label[1] >= 0
    assert label[3] <= 400
    assert label[2] - label[0] == 90
    assert label[3] - label[1] == 40


def test_labels_of_neighboring_faces_do_not_overlap():
    boxes = [(20.0, 100.0, 90.0, 180.0), (60.0, 100.0, 130.0, 180.0), (40.0, 100.0, 110.0, 180.0)]
    taken = []
    for box in boxes:
        taken.append(annotation.place_label(box, (90, 40), (300, 400), taken))
    for n, one in enumerate(taken):
        for other in taken[n + 1 :]:
            assert (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )


def test_text_scales_with_the_photo_and_stays_legible_on_small_ones():
    heights = {}
    for factor in (1, 8):
        photo = np.full((120 * factor, 100 * factor, 3), 128, np.uint8)
        box = (40.0 * factor, 60.0 * factor, 80.0 * factor, 100.0 * factor)
        image = annotation.annotate(photo, [box], [["mask"]])
        rows = np.nonzero((np.asarray(image) > 180).all(2).any(1))[0]
        heights[factor] = rows.max() - rows.min() + 1
    assert heights[1] >= 7
    assert heights[8] >= 1.8 * heights[1]
