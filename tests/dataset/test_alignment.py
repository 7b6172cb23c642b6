import numpy as np
import pytest

from portrait18.dataset.alignment import (
    ARCFACE,
    DLIB_CHIP,
    FACE_CENTER,
    TEMPLATE,
    crop_square,
    similarity,
    within_crop,
)


@pytest.mark.parametrize(("degrees", "scale", "shift"), [(0, 1, (0, 0)), (33, 0.4, (80, -12))])
def test_a_similarity_is_recovered(degrees, scale, shift):
    angle = np.radians(degrees)
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - shift) @ np.linalg.inv(rotation).T
    expected = np.column_stack([rotation, shift])
    np.testing.assert_allclose(similarity(points), expected, atol=1e-9)


def test_the_similarity_has_the_least_squares():
    rng = np.random.default_rng(0)
    points = TEMPLATE * 3 + rng.normal(0, 8, (5, 2))
    matrix = similarity(points)

    def error(m):
        return ((points @ m[:, :2].T + m[:, 2] - TEMPLATE) ** 2).sum()

    for _ in range(50):
        a, b, *shift = rng.normal(0, 1e-3, 4)
        moved = matrix + np.array([[a, -b, shift[0]], [b, a, shift[1]]])
        assert error(moved) >= error(matrix)


def test_a_crop_has_the_face_in_its_center():
    square = crop_square(0.4)
    center = square.x0 + square.side / 2, square.y0 + square.side / 2
    assert center == pytest.approx(FACE_CENTER)
    assert crop_square(0.0).side * 1.4 == pytest.approx(square.side)


def test_regions_are_fractions_of_the_crop():
    assert within_crop(crop_square(0.4), 0.4) == pytest.approx((0, 0, 1))
    region = within_crop(ARCFACE, 0.4)
    square = crop_square(0.4)
    assert square.x0 + region.x0 * square.side == pytest.approx(0)
    assert region.side * square.side == pytest.approx(112)


def test_eyes_in_a_dlib_chip_are_where_dlib_puts_them():
    left, right = (TEMPLATE[:2] - (DLIB_CHIP.x0, DLIB_CHIP.y0)) / DLIB_CHIP.side * 150
    assert (right - left)[0] == pytest.approx(0.5254841 / 1.5 * 150, abs=0.1)
    assert (left[1] + right[1]) / 2 == pytest.approx(47.1, abs=0.1)
