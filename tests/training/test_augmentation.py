from collections import Counter

import albumentations as A
import cv2
import numpy as np
import pytest
from augmented import absolute_difference, portrait, transform

from portrait18.training import augmentation

CROP = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), (64, 64))


def spot(side=128, edge=32):
    """Return a black square with a white one in its center."""
    crop = np.zeros((side, side, 3), np.uint8)
    at = (side - edge) // 2
    crop[at : at + edge, at : at + edge] = 255
    return crop


@pytest.mark.parametrize(
    "name", ["flip", "rotate", "scale", "color", "blur", "erase", "randaugment"]
)
def test_results_depend_on_the_seed_only(name):
    strength = {"flip": 0.5, "rotate": 20, "scale": 0.3, "randaugment": 2}.get(name, 1.0)
    one, another = transform(**{name: strength}), transform(**{name: strength})
    augmentation.apply(another, CROP, 99)
    results = [augmentation.apply(one, CROP, seed) for seed in range(12)]
    assert all(
        (augmentation.apply(another, CROP, seed) == results[seed]).all()
        for seed in reversed(range(12))
    )
    assert len({r.tobytes() for r in results}) >= 2


@pytest.mark.parametrize("size", [32, 48, 64, 100])
def test_zero_strengths_only_resize(size):
    result = augmentation.apply(transform(size), CROP, 3)
    assert (result == cv2.resize(CROP, (size, size), interpolation=cv2.INTER_AREA)).all()


def test_flip_one_always_mirrors():
    assert all(
        (augmentation.apply(transform(flip=1.0), CROP, seed) == CROP[:, ::-1]).all()
        for seed in range(5)
    )


def test_flip_half_mirrors_half():
    half = transform(flip=0.5)
    mirrored = sum(
        (augmentation.apply(half, CROP, seed) == CROP[:, ::-1]).all() for seed in range(200)
    )
    assert 70 < mirrored < 130


@pytest.mark.parametrize("size", [32, 80])
def test_all_steps_give_uint8_of_the_requested_size_and_keep_the_input(size):
    before = CROP.copy()
    result = augmentation.apply(
        transform(size, flip=1, rotate=30, scale=0.2, color=1, blur=1, erase=1), CROP, 1
    )
    assert result.shape == (size, size, 3)
    assert result.dtype == np.uint8
    assert (before == CROP).all()


def test_rotate_turns_both_ways_within_its_limit():
    line = np.zeros((128, 128, 3), np.uint8)
    line[62:66] = 255
    turn, angles = transform(128, rotate=20), []
    for seed in range(30):
        y, x = np.nonzero(augmentation.apply(turn, line, seed)[..., 0] > 127)
        angles.append(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))
    assert -21 < min(angles) < -10
    assert 10 < max(angles) < 21


def test_scale_scales_both_ways_and_shifts_by_half_of_it():
    move, sides, shifts = transform(128, scale=0.25), [], []
    for seed in range(40):
        y, x = np.nonzero(augmentation.apply(move, spot(), seed)[..., 0] > 127)
        sides.append(np.sqrt(len(x)) / 32)
        shifts += [(x.mean() - 63.5) / 128, (y.mean() - 63.5) / 128]
    assert 0.74 < min(sides) < 0.9
    assert 1.1 < max(sides) < 1.26
    assert -0.14 < min(shifts) < -0.06
    assert 0.06 < max(shifts) < 0.14


def test_scale_keeps_proportions():
    move = transform(128, scale=0.25)
    for seed in range(10):
        light = augmentation.apply(move, spot(), seed)[..., 0] > 127
        assert light.any(0).sum() == pytest.approx(light.any(1).sum(), abs=2)


@pytest.mark.parametrize("size", [48, 96, 128, 160])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(
    ("scale", "degrees", "shift"),
    [(1.1, 0, (0, 0)), (1, 7, (0, 0)), (1, 0, (8, -4)), (0.9, -7, (-6, 3))],
)
def test_affine_resize_equals_albumentations_steps(size, mirror, scale, degrees, shift):
    """The mean difference from the same steps on a photo 4 times as large is below 0.65 of 255.

    Shifts are in pixels of 128.
    """
    shift = tuple(pixels / 128 for pixels in shift)
    moved = {"x": (shift[0], shift[0]), "y": (shift[1], shift[1])}
    steps = [
        A.Resize(512, 512, interpolation=cv2.INTER_CUBIC),
        A.HorizontalFlip(p=float(mirror)),
        A.Affine(
            scale=(scale, scale),
            rotate=(degrees, degrees),
            translate_percent=moved,
            keep_ratio=True,
            border_mode=cv2.BORDER_REPLICATE,
            p=1.0,
        ),
        A.Resize(size, size, interpolation=cv2.INTER_AREA),
    ]
    transform = augmentation.AffineResize(0.5, 0.12, 8, size)
    ours = transform.apply(portrait(), mirror=mirror, scale=scale, degrees=degrees, shift=shift)
    assert absolute_difference(ours, A.Compose(steps)(image=portrait())["image"]).mean() < 0.65


@pytest.mark.parametrize("size", [48, 64, 85, 96, 112])
def test_augmented_crops_are_as_sharp_as_crops_resized_for_inference(size):
    def sharpness(crop):
        return (
            np.abs(np.diff(crop.astype(float), axis=0)).mean()
            + np.abs(np.diff(crop.astype(float), axis=1)).mean()
        )

    transform, plain = augmentation.AffineResize(0.5, 0.12, 8, size), portrait()
    turned = [transform.apply(plain, degrees=degrees) for degrees in np.linspace(-8, 8, 9)]
    usual = sharpness(cv2.resize(plain, (size, size), interpolation=cv2.INTER_AREA))
    assert np.mean([sharpness(crop) for crop in turned]) == pytest.approx(usual, rel=0.05)


@pytest.mark.parametrize(
    "factors", [(1.2, 1, 1), (0.8, 1, 1), (1, 1.2, 1), (1, 0.8, 1), (1, 1, 1.2), (1, 1, 0.8)]
)
def test_color_jitter_equals_albumentations_up_to_rounding(factors):
    names = ("brightness", "contrast", "saturation")
    ranges = {name: (factor, factor) for name, factor in zip(names, factors, strict=True)}
    theirs = A.ColorJitter(**ranges, hue=(0, 0), p=1.0)(image=portrait())["image"]
    ours = augmentation.MatrixColorJitter(0.2, 1.0).apply(
        portrait(), **dict(zip(names, factors, strict=True))
    )
    assert absolute_difference(ours, theirs).max() <= 1


@pytest.mark.parametrize("hue", [-0.05, -0.02, 0.02, 0.05])
def test_hue_rotates_about_as_far_as_in_hsv(hue):
    plain = portrait()
    vivid = cv2.cvtColor(plain.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[..., 1] > 0.2
    turned = augmentation.MatrixColorJitter(0.2, 1.0).apply(plain, hue=hue)
    degrees = [
        cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[..., 0][vivid]
        for p in (plain, turned)
    ]
    moved = (degrees[1] - degrees[0] + 180) % 360 - 180
    assert np.median(moved) == pytest.approx(360 * hue, rel=0.35)


def test_steps_are_drawn_independently():
    """As many flipped crops as others are erased."""
    half, counts = transform(64, flip=0.5, erase=0.5), Counter()
    for seed in range(200):
        result = augmentation.apply(half, CROP, seed)
        erased = (result == 127).all(2)
        mirrored = (result == CROP[:, ::-1])[~erased].all()
        counts[bool(mirrored), bool(erased.sum() > 100)] += 1
    assert all(30 < counts[a, b] < 70 for a in (False, True) for b in (False, True)), counts


def test_erase_fills_one_gray_rectangle():
    white = np.full((100, 100, 3), 255, np.uint8)
    for seed in range(5):
        gray = (augmentation.apply(transform(100, erase=1.0), white, seed) == 127).all(2)
        y, x = np.nonzero(gray)
        height, width = np.ptp(y) + 1, np.ptp(x) + 1
        assert gray.sum() == height * width
        assert 19 <= height <= 41
        assert 19 <= width <= 41


def test_sample_seeds_differ_by_seed_epoch_and_sample():
    seeds = {
        augmentation.sample_seed(s, e, i) for s in range(5) for e in range(5) for i in range(100)
    }
    assert len(seeds) == 2500
    assert all(0 <= s < 2**32 for s in seeds)
    assert augmentation.sample_seed(1, 2, 3) == augmentation.sample_seed(1, 2, 3)
