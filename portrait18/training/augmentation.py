"""Random changes to training crops, by albumentations; each drawn from (seed, epoch, sample) alone."""

import math
import os
import random

os.environ.setdefault(
    "NO_ALBUMENTATIONS_UPDATE", "1"
)  # it asks the network for its newest version on import

import albumentations as A
import cv2
import numpy as np

from portrait18.core.model_params import AugmentParams
from portrait18.dataset.warping import warp

cv2.setNumThreads(0)  # tiny crops: its threads only get in the way of PyTorch's

#: Shares of red, green and blue in what contrast and saturation take for grey; as torchvision and albumentations.
_GREY = np.array([0.299, 0.587, 0.114])
DIRECT = 1.5


class Warp(A.ImageOnlyTransform):
    """Mirror, scale, turn, move and make small, so that crops come out as sharp as those made small to be predicted.

    Those are averaged over areas. A bilinear sample blurs as much as the average over an area 1.4 pixels wide: up to
    `DIRECT` times as small one sampling does it all, beyond that areas are averaged after it.

    Args:
        flip: probability of mirroring.
        zoom: scale is drawn from 1 - zoom to 1 + zoom, each shift up to half of it, as a share of the side.
        rotate: degrees, either way.
        size: side of the result, pixels.
    """

    def __init__(self, flip: float, zoom: float, rotate: float, size: int):
        super().__init__(p=1.0)
        self.flip, self.zoom, self.rotate, self.size = flip, zoom, rotate, size

    def get_params(self) -> dict:
        draw = self.py_random.uniform
        return {
            "mirror": draw(0, 1) < self.flip,
            "scale": 1 + draw(-self.zoom, self.zoom),
            "degrees": draw(-self.rotate, self.rotate),
            "shift": (draw(-self.zoom, self.zoom) / 2, draw(-self.zoom, self.zoom) / 2),
        }

    def apply(
        self, img: np.ndarray, mirror=False, scale=1.0, degrees=0.0, shift=(0.0, 0.0), **params
    ) -> np.ndarray:
        """uint8 (S, S, 3) -> (size, size, 3): the turn is counterclockwise about the middle, the shift a share of S."""
        side, middle = len(img), (len(img) - 1) / 2
        if self.zoom or self.rotate:
            matrix = cv2.getRotationMatrix2D((middle, middle), degrees, scale)
            if mirror:  # first of all: x becomes 2 * middle - x
                matrix[:, 2] += 2 * middle * matrix[:, 0]
                matrix[:, 0] *= -1
            matrix[:, 2] += np.array(shift) * side
            if side <= DIRECT * self.size:
                by = self.size / side
                matrix *= by
                matrix[:, 2] += (by - 1) / 2  # the middle of a pixel stays one
                return warp(img, matrix, self.size)
            img = warp(img, matrix, side)
        elif mirror:
            img = cv2.flip(img, 1)
        return cv2.resize(img, (self.size, self.size), interpolation=cv2.INTER_AREA)


class Tint(A.ImageOnlyTransform):
    """Brightness, contrast, saturation and hue in one 3x4 matrix over the pixels: a quarter of `A.ColorJitter`'s time.

    Nothing is cut off at 0 or 255 in between, so that all but the hue commute, and the order that
    `A.ColorJitter` draws has no part. The hue turns about the grey axis of RGB, not in HSV.

    Args:
        strength: brightness, contrast and saturation are drawn from 1 - strength (0 at least) to 1 + strength,
            the hue up to a tenth of the strength, as a share of the circle, either way: faces have few hues.
        p: probability.
    """

    def __init__(self, strength: float, p: float):
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict:
        draw, low, high = self.py_random.uniform, max(0.0, 1 - self.strength), 1 + self.strength
        hue = self.strength / 10
        factors = {name: draw(low, high) for name in ("brightness", "contrast", "saturation")}
        return {**factors, "hue": draw(-hue, hue)}

    def apply(
        self, img: np.ndarray, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, **params
    ) -> np.ndarray:
        """uint8 (S, S, 3) RGB -> the same."""
        cos, sin = math.cos(2 * math.pi * hue), math.sin(2 * math.pi * hue) / math.sqrt(3)
        same, last, next_ = (1 + 2 * cos) / 3, (1 - cos) / 3 - sin, (1 - cos) / 3 + sin
        turn = np.array([[same, last, next_], [next_, same, last], [last, next_, same]])
        saturate = saturation * np.eye(3) + (1 - saturation) * _GREY
        matrix = np.full((3, 4), brightness * (1 - contrast) * (_GREY @ cv2.mean(img)[:3]))
        matrix[:, :3] = brightness * contrast * (turn @ saturate)
        return cv2.transform(img, matrix)


def make(params: AugmentParams, size: int) -> A.Compose:
    """The transform from a stored crop, uint8 (S, S, 3), to what the network sees, uint8 (size, size, 3)."""
    steps: list[A.BasicTransform] = [
        Warp(params.flip, params.zoom, params.rotate, size),
        Tint(params.color, p=0.8 if params.color else 0.0),
        A.OneOf(
            [A.GaussianBlur(blur_limit=(3, 5)), A.ImageCompression(quality_range=(40, 80))],
            p=params.blur,
        ),
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(0.2, 0.4),
            hole_width_range=(0.2, 0.4),
            fill=127,
            p=params.erase,
        ),
    ]
    return A.Compose(steps)


def sample_seed(seed: int, epoch: int, sample: int) -> int:
    """A 32-bit seed of its own for each (seed, epoch, sample); the same wherever and whenever it is asked for."""
    return int(np.random.SeedSequence([seed, epoch, sample]).generate_state(1)[0])


def apply(transform: A.Compose, crop: np.ndarray, seed: int) -> np.ndarray:
    """Transform one crop with draws that depend on `seed` only."""
    # One stream for all steps: `set_random_seed` starts each step's own at the same number, so that the
    # crops that are mirrored would be those that are blurred. It also takes as long as the warp.
    transform.set_random_state(np.random.Generator(np.random.Philox(key=seed)), random.Random(seed))
    return transform(image=crop)["image"]
