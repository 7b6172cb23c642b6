"""Random changes to training crops, by albumentations; each drawn from (seed, epoch, sample) alone."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its newest version on import

import albumentations as A
import cv2
import numpy as np

from portrait18.model_params import AugmentParams

cv2.setNumThreads(0)  # tiny crops: its threads only get in the way of PyTorch's


def make(params: AugmentParams, size: int) -> A.Compose:
    """The transform from a stored crop, uint8 (S, S, 3), to what the network sees, uint8 (size, size, 3)."""
    move = params.zoom / 2
    steps: list[A.BasicTransform] = [
        A.HorizontalFlip(p=params.flip),
        A.Affine(
            scale=(1 - params.zoom, 1 + params.zoom),
            translate_percent=(-move, move),
            rotate=(-params.rotate, params.rotate),
            keep_ratio=True,
            border_mode=cv2.BORDER_REPLICATE,
            p=1.0 if params.zoom or params.rotate else 0.0,
        ),
        A.Resize(size, size, interpolation=cv2.INTER_AREA),
        A.ColorJitter(
            brightness=params.colour,
            contrast=params.colour,
            saturation=params.colour,
            hue=params.colour / 10,  # faces have few hues: a shift by a tenth of the others' strength is plenty
            p=0.8 if params.colour else 0.0,
        ),
        A.OneOf([A.GaussianBlur(blur_limit=(3, 5)), A.ImageCompression(quality_range=(40, 80))], p=params.blur),
        A.CoarseDropout(
            num_holes_range=(1, 1), hole_height_range=(0.2, 0.4), hole_width_range=(0.2, 0.4), fill=127, p=params.erase
        ),
    ]
    return A.Compose(steps)


def sample_seed(seed: int, epoch: int, sample: int) -> int:
    """A 32-bit seed of its own for each (seed, epoch, sample); the same wherever and whenever it is asked for."""
    return int(np.random.SeedSequence([seed, epoch, sample]).generate_state(1)[0])


def apply(transform: A.Compose, crop: np.ndarray, seed: int) -> np.ndarray:
    """Transform one crop with draws that depend on `seed` only."""
    transform.set_random_seed(seed)
    return transform(image=crop)["image"]
