import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from portrait18.cropping.integral import area_pool, integral_images

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "box", [(0, 0, 50, 40), (3, 5, 33, 9), (7, 7, 8, 8), (20, 1, 50, 39), (10, 10, 23, 36)]
)
@pytest.mark.parametrize("size", [(12, 12), (24, 24), (17, 13)])
def test_rectangles_are_resized_by_averaging_areas(box, size):
    photos = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    x0, y0, x1, y1 = box
    integrals, photo = integral_images(photos, CPU), torch.tensor([2, 0])
    resized = area_pool(integrals, photo, torch.tensor([box, box]), size)
    cut = (
        torch.from_numpy(photos[[2, 0], y0:y1, x0:x1].astype(np.float32))
        .permute(0, 3, 1, 2)
        .contiguous()
    )
    torch.testing.assert_close(
        resized, (adaptive_avg_pool2d(cut, size) - 127.5) * 0.0078125, rtol=0, atol=2e-7
    )
    assert resized.is_contiguous(memory_format=torch.channels_last)


def test_sums_may_overflow_in_very_large_photos():
    white = np.full((1, 3000, 3000, 3), 255, np.uint8)  # 3000 x 3000 x 255 > 2**31
    resized = area_pool(
        integral_images(white, CPU), torch.tensor([0]), torch.tensor([[0, 0, 3000, 3000]]), (12, 12)
    )
    assert (resized == (255 - 127.5) * 0.0078125).all()
