"""Random augmentation of training crops, drawn from (seed, epoch, sample)."""

import math
import os
import random

# Otherwise albumentations looks for a newer version on the network when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from portrait18.core.model_params import AugmentParams
from portrait18.dataset.warping import warp

cv2.setNumThreads(0)  # on tiny crops OpenCV's threads only compete with PyTorch's

#: Weights of red, green and blue in gray, as in torchvision and albumentations.
_GRAY = np.array([0.299, 0.587, 0.114])
#: Gray of erased rectangles, and beyond the sides of crops that RandAugment moves.
_FILL = 127
#: Largest shrink factor at which one bilinear sampling is as sharp as averaging areas.
MAX_DIRECT_SHRINK = 1.5


class AffineResize(A.ImageOnlyTransform):
    """Flip, scale, rotate, shift and resize a crop in as few samplings as possible.

    Results are as sharp as the crops that are resized for inference. Those are averaged over
    areas; bilinear sampling blurs as much as averaging over an area 1.4 pixels wide. Up to a
    shrink factor of `MAX_DIRECT_SHRINK` one sampling does everything; beyond it areas are averaged
    after the sampling.

    Args:
        flip: probability of mirroring.
        scale: the scale is drawn from 1 - scale to 1 + scale, each shift up to half of it, as a
            share of the side.
        rotate: largest rotation in degrees, either way.
        size: side of the result in pixels.
    """

    def __init__(self, flip: float, scale: float, rotate: float, size: int):
        super().__init__(p=1.0)
        self.flip, self.scale, self.rotate, self.size = flip, scale, rotate, size

    def get_params(self) -> dict:
        """Draw the arguments of `apply`."""
        draw = self.py_random.uniform
        return {
            "mirror": draw(0, 1) < self.flip,
            "scale": 1 + draw(-self.scale, self.scale),
            "degrees": draw(-self.rotate, self.rotate),
            "shift": (draw(-self.scale, self.scale) / 2, draw(-self.scale, self.scale) / 2),
        }

    def apply(
        self, img: np.ndarray, mirror=False, scale=1.0, degrees=0.0, shift=(0.0, 0.0), **params
    ) -> np.ndarray:
        """Transform a crop.

        Args:
            img: uint8 (S, S, 3).
            mirror: whether to flip it horizontally, before anything else.
            scale: above 1 enlarges.
            degrees: counterclockwise rotation about the center.
            shift: (x, y) as shares of S.
            params: ignored.

        Returns:
            uint8 (size, size, 3).
        """
        side, center = len(img), (len(img) - 1) / 2
        if self.scale or self.rotate:
            matrix: np.ndarray = cv2.getRotationMatrix2D((center, center), degrees, scale)
            if mirror:  # x becomes 2 * center - x
                matrix[:, 2] += 2 * center * matrix[:, 0]
                matrix[:, 0] *= -1
            matrix[:, 2] += np.array(shift) * side
            if side <= MAX_DIRECT_SHRINK * self.size:
                factor = self.size / side
                matrix *= factor
                matrix[:, 2] += (factor - 1) / 2  # coordinates refer to pixel centers
                return warp(img, matrix, self.size)
            img = warp(img, matrix, side)
        elif mirror:
            img = cv2.flip(img, 1)
        return cv2.resize(img, (self.size, self.size), interpolation=cv2.INTER_AREA)


class MatrixColorJitter(A.ImageOnlyTransform):
    """Change brightness, contrast, saturation and hue with one 3x4 matrix.

    It takes a quarter of the time of `A.ColorJitter`. Values are not clipped to 0..255 in between,
    so that all steps but the hue commute, and the random order that `A.ColorJitter` draws does not
    matter. The hue rotates about the gray axis of RGB, not in HSV.

    Args:
        strength: brightness, contrast and saturation are drawn from max(0, 1 - strength) to
            1 + strength, the hue up to a tenth of the strength, as a share of the color circle,
            either way: faces have few hues.
        p: probability.
    """

    def __init__(self, strength: float, p: float):
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict:
        """Draw the arguments of `apply`."""
        draw, low, high = self.py_random.uniform, max(0.0, 1 - self.strength), 1 + self.strength
        hue = self.strength / 10
        factors = {name: draw(low, high) for name in ("brightness", "contrast", "saturation")}
        return {**factors, "hue": draw(-hue, hue)}

    def apply(
        self, img: np.ndarray, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, **params
    ) -> np.ndarray:
        """Transform a crop, uint8 (S, S, 3), RGB; the hue is a share of the color circle."""
        cos, sin = math.cos(2 * math.pi * hue), math.sin(2 * math.pi * hue) / math.sqrt(3)
        same, last, next_ = (1 + 2 * cos) / 3, (1 - cos) / 3 - sin, (1 - cos) / 3 + sin
        rotate = np.array([[same, last, next_], [next_, same, last], [last, next_, same]])
        saturate = saturation * np.eye(3) + (1 - saturation) * _GRAY
        matrix = np.full((3, 4), brightness * (1 - contrast) * (_GRAY @ cv2.mean(img)[:3]))
        matrix[:, :3] = brightness * contrast * (rotate @ saturate)
        return cv2.transform(img, matrix)


class RandAugment(A.ImageOnlyTransform):
    """Apply random operations of torchvision's RandAugment (Cubuk et al. 2020).

    They shear, shift, rotate, sharpen, posterize, solarize, equalize the histogram and change
    brightness, color and contrast. Pillow computes them, for whole crops of this size in less time
    than torchvision's own code.

    Args:
        operations: operations for each crop, drawn with replacement.
        magnitude: their strength, 0 to 30.
    """

    def __init__(self, operations: int, magnitude: int):
        super().__init__(p=1.0)
        bilinear = InterpolationMode.BILINEAR
        self.policy = v2.RandAugment(
            operations, magnitude, interpolation=bilinear, fill=[_FILL] * 3
        )

    def get_params(self) -> dict:
        """Draw the arguments of `apply`."""
        return {"seed": self.py_random.getrandbits(63)}

    def apply(self, img: np.ndarray, seed: int = 0, **params) -> np.ndarray:
        """Transform a crop, uint8 (S, S, 3), RGB, with draws that depend on `seed` only."""
        # torchvision draws from PyTorch's global generator, which dropout on CPUs shares.
        # `torch.manual_seed` would also reset the generators of GPUs.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return np.array(self.policy(Image.fromarray(img)))


def make(params: AugmentParams, size: int) -> A.Compose:
    """Return the transform from a stored crop, uint8 (S, S, 3), to uint8 (size, size, 3)."""
    steps: list[A.BasicTransform] = [
        AffineResize(params.flip, params.scale, params.rotate, size),
        MatrixColorJitter(params.color, p=0.8 if params.color else 0.0),
        A.OneOf(
            [A.GaussianBlur(blur_limit=(3, 5)), A.ImageCompression(quality_range=(40, 80))],
            p=params.blur,
        ),
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(0.2, 0.4),
            hole_width_range=(0.2, 0.4),
            fill=_FILL,
            p=params.erase,
        ),
    ]
    if params.randaugment:  # a step that is off would still draw, and change all later draws
        steps.insert(1, RandAugment(params.randaugment, params.randaugment_magnitude))
    return A.Compose(steps)


def sample_seed(seed: int, epoch: int, sample: int) -> int:
    """Return a 32-bit seed that depends on (seed, epoch, sample) only."""
    return int(np.random.SeedSequence([seed, epoch, sample]).generate_state(1)[0])


def apply(transform: A.Compose, crop: np.ndarray, seed: int) -> np.ndarray:
    """Transform one crop, uint8 (S, S, 3), with random draws that depend on `seed` only."""
    # All steps share one random stream. `set_random_seed` would start each step's own stream at the
    # same number, so that exactly the flipped crops would be blurred; it is also slow.
    transform.set_random_state(np.random.Generator(np.random.Philox(key=seed)), random.Random(seed))
    return transform(image=crop)["image"]
