import cv2
import numpy as np
import pytest

from portrait18.dataset.warping import warp


@pytest.mark.parametrize("side", [40, 256])
@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (7, 0.4), (-30, 2.5)])
def test_pixels_equal_those_of_opencv_for_three_channels(side, degrees, scale):
    photo = np.random.default_rng(side).integers(0, 256, (120, 90, 3), np.uint8)
    matrix = cv2.getRotationMatrix2D((50, 40), degrees, scale)
    expected = cv2.warpAffine(
        photo, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    np.testing.assert_array_equal(warp(photo, matrix, side), expected)
