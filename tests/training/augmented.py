"""Steps of the augmentation, and a photo to apply them to."""

import cv2
import numpy as np
from tiny import NO_AUGMENTATION, demo_photo

from portrait18.core.model_params import AugmentParams
from portrait18.training import augmentation


def transform(size=64, **strengths):
    return augmentation.make(AugmentParams(**{**NO_AUGMENTATION, **strengths}), size)


def portrait():
    """Return a crop, uint8 (128, 128, 3)."""
    photo = demo_photo(person="000002_male_White_27")
    return cv2.resize(photo[64:448], (128, 128), interpolation=cv2.INTER_AREA)


def absolute_difference(one, another):
    return np.abs(one.astype(int) - another)
