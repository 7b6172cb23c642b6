import cv2
import numpy as np
import pytest
from tiny import STILL

from portrait18.model_params import AugmentParams
from portrait18.training import augment

CROP = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), (64, 64))


def transform(size=64, **strengths):
    return augment.make(AugmentParams(**{**STILL, **strengths}), size)


def spot(side=128, edge=32):
    """A white square in the middle of a black one."""
    crop = np.zeros((side, side, 3), np.uint8)
    at = (side - edge) // 2
    crop[at : at + edge, at : at + edge] = 255
    return crop


@pytest.mark.parametrize("name", ["flip", "rotate", "zoom", "colour", "blur", "erase"])
def test_the_seed_alone_decides(name):
    strength = {"flip": 0.5, "rotate": 20, "zoom": 0.3}.get(name, 1.0)
    one, another = transform(**{name: strength}), transform(**{name: strength})
    augment.apply(another, CROP, 99)
    results = [augment.apply(one, CROP, seed) for seed in range(12)]
    assert all((augment.apply(another, CROP, seed) == results[seed]).all() for seed in reversed(range(12)))
    assert len({r.tobytes() for r in results}) >= 2


@pytest.mark.parametrize("size", [32, 48, 64, 100])
def test_without_strengths_it_only_resizes(size):
    result = augment.apply(transform(size), CROP, 3)
    assert (result == cv2.resize(CROP, (size, size), interpolation=cv2.INTER_AREA)).all()


def test_flip_one_mirrors_always():
    assert all((augment.apply(transform(flip=1.0), CROP, seed) == CROP[:, ::-1]).all() for seed in range(5))


def test_flip_half_mirrors_half():
    half = transform(flip=0.5)
    mirrored = sum((augment.apply(half, CROP, seed) == CROP[:, ::-1]).all() for seed in range(200))
    assert 70 < mirrored < 130


@pytest.mark.parametrize("size", [32, 80])
def test_everything_at_once_gives_bytes_of_the_asked_size_and_leaves_the_crop_alone(size):
    before = CROP.copy()
    result = augment.apply(transform(size, flip=1, rotate=30, zoom=0.2, colour=1, blur=1, erase=1), CROP, 1)
    assert result.shape == (size, size, 3) and result.dtype == np.uint8
    assert (CROP == before).all()


def test_rotate_turns_both_ways_within_its_degrees():
    line = np.zeros((128, 128, 3), np.uint8)
    line[62:66] = 255
    turn, angles = transform(128, rotate=20), []
    for seed in range(30):
        y, x = np.nonzero(augment.apply(turn, line, seed)[..., 0] > 127)
        angles.append(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))
    assert -21 < min(angles) < -10 and 10 < max(angles) < 21


def test_zoom_goes_in_and_out_and_moves_by_half_of_it():
    move, sides, shifts = transform(128, zoom=0.25), [], []
    for seed in range(40):
        y, x = np.nonzero(augment.apply(move, spot(), seed)[..., 0] > 127)
        sides.append(np.sqrt(len(x)) / 32)
        shifts += [(x.mean() - 63.5) / 128, (y.mean() - 63.5) / 128]
    assert 0.74 < min(sides) < 0.9 and 1.1 < max(sides) < 1.26
    assert -0.14 < min(shifts) < -0.06 and 0.06 < max(shifts) < 0.14


def test_zoom_keeps_the_faces_proportions():
    move = transform(128, zoom=0.25)
    for seed in range(10):
        light = augment.apply(move, spot(), seed)[..., 0] > 127
        assert light.any(0).sum() == pytest.approx(light.any(1).sum(), abs=2)


def test_erase_paints_one_grey_rectangle():
    white = np.full((100, 100, 3), 255, np.uint8)
    for seed in range(5):
        grey = (augment.apply(transform(100, erase=1.0), white, seed) == 127).all(2)
        y, x = np.nonzero(grey)
        height, width = np.ptp(y) + 1, np.ptp(x) + 1
        assert grey.sum() == height * width and 19 <= height <= 41 and 19 <= width <= 41


def test_sample_seeds_differ_by_seed_epoch_and_sample():
    seeds = {augment.sample_seed(s, e, i) for s in range(5) for e in range(5) for i in range(100)}
    assert len(seeds) == 2500 and all(0 <= s < 2**32 for s in seeds)
    assert augment.sample_seed(1, 2, 3) == augment.sample_seed(1, 2, 3)
