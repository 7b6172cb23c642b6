import numpy as np
import pytest

from portrait18.core.feature_params import View
from portrait18.models import views
from portrait18.training.augmentation import AffineResize

CROPS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)


def test_a_view_without_keys_is_the_resized_crop():
    assert (views.apply(CROPS, View(), 64) == CROPS).all()
    assert (views.apply(CROPS, View(), 48) == views.resize(CROPS, 48)).all()


def test_a_mirrored_view_is_the_mirrored_crop():
    mirrored = views.apply(CROPS, View(flip=True), 32)
    assert (mirrored == views.resize(CROPS, 32)[:, :, ::-1]).all()
    assert mirrored.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    "view",
    [View(scale=1.2), View(rotate=10), View(x=0.1, y=-0.2), View(flip=True, scale=0.9, rotate=-7)],
    ids=str,
)
def test_views_change_a_crop_as_augmentation_does(view):
    augmentation = AffineResize(0.5, 0.5, 20, 64)
    for crop, changed in zip(CROPS, views.apply(CROPS, view, 64), strict=True):
        expected = augmentation.apply(crop, view.flip, view.scale, view.rotate, (view.x, view.y))
        assert (changed == expected).all()
        assert (changed != crop).any()


def test_a_coarse_view_keeps_a_share_of_the_pixels():
    coarse = views.apply(CROPS, View(resolution=0.1), 64)
    assert coarse.shape == CROPS.shape
    again = views.apply(coarse, View(resolution=0.1), 64)
    detail = np.abs(np.diff(CROPS.astype(float), axis=2)).mean()
    assert np.abs(np.diff(coarse.astype(float), axis=2)).mean() < 0.7 * detail
    assert np.abs(again.astype(float) - coarse).mean() < np.abs(CROPS.astype(float) - coarse).mean()
    mirrored = views.apply(CROPS, View(flip=True, resolution=0.1), 64)
    assert np.abs(mirrored[:, :, ::-1].astype(int) - coarse).max() <= 1
