"""A region is cut and resized like Pillow does it, anywhere between the pixels."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import demo_photo

from portrait18.dataset.alignment import Square
from portrait18.models.interpolation import interpolation_matrix
from portrait18.models.resample import Resample

PHOTO = demo_photo()[100:324, 80:304]


def resample(region: Square, size: int, photo: np.ndarray = PHOTO) -> np.ndarray:
    pixels = torch.tensor(photo.copy()).permute(2, 0, 1)[None].float()
    return Resample(region, photo.shape[0], size)(pixels)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [40, 112, 150, 300])
@pytest.mark.parametrize("region", [Square(0, 0, 1), Square(0.11, 0.056, 0.777)])
def test_a_region_within_the_photo_equals_that_of_pillow(region, size):
    side = PHOTO.shape[0]
    box = [part * side for part in (region.x0, region.y0)]
    box += [start + region.side * side for start in box]
    bands = [Image.fromarray(band.astype(np.float32)) for band in PHOTO.transpose(2, 0, 1)]
    expected = [band.resize((size, size), Image.Resampling.BILINEAR, box) for band in bands]
    inner = slice(2, -2)  # at its edges Pillow does not look beyond the box
    np.testing.assert_allclose(
        resample(region, size)[inner, inner], np.dstack(expected)[inner, inner], atol=0.01
    )


def test_the_whole_photo_at_its_own_size_stays_the_same():
    np.testing.assert_array_equal(resample(Square(0, 0, 1), 224), PHOTO)


def test_pixels_beyond_the_edge_are_those_of_the_edge():
    padded = np.pad(PHOTO, ((112, 112), (112, 112), (0, 0)), "edge")
    np.testing.assert_allclose(
        resample(Square(-0.25, -0.25, 1.5), 120),
        resample(Square(0.125, 0.125, 0.75), 120, padded),
        atol=1e-3,
    )


def test_x_and_y_are_not_exchanged():
    photo = np.zeros((20, 20, 3), np.uint8)
    photo[0:10, 10:20] = 200  # top right
    np.testing.assert_allclose(resample(Square(0.6, 0.1, 0.3), 4, photo), 200, rtol=1e-5)
    np.testing.assert_array_equal(resample(Square(0.1, 0.6, 0.3), 4, photo), 0)


@pytest.mark.parametrize("start", [-3.0, -0.3, 0.2, 0.9, 5.0])
@pytest.mark.parametrize("side", [0.01, 0.5, 3.0])
def test_weights_sum_to_one(start, side):
    matrix = interpolation_matrix(start, side, 60, 32)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-6)
    assert (matrix >= 0).all()


def test_gradients_flow_to_the_pixels_of_the_region_only():
    photos = torch.rand(1, 3, 32, 32, requires_grad=True)
    Resample(Square(0.5, 0.5, 0.4), 32, 16)(photos).sum().backward()
    assert photos.grad[..., 18:28, 18:28].min() > 0
    assert photos.grad[..., :14, :].abs().max() == photos.grad[..., :14].abs().max() == 0


def test_autocast_does_not_round_pixels():
    photos = torch.rand(1, 3, 32, 32) * 255
    cut = Resample(Square(0.1, 0.1, 0.8), 32, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = cut(photos)
    assert (mixed == cut(photos)).all()
