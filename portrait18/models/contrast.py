"""Contrast-limited adaptive histogram equalization (CLAHE) of crops, before a network sees them."""

import cv2
import numpy as np

#: Tiles per side; each has its own histogram. With OpenCV's default of 8, a tile of a 128 px crop
#: has as many pixels as its histogram has bins, and the limit hardly acts.
TILES = 4


def equalize(crops: np.ndarray, clip_limit: float) -> np.ndarray:
    """Even out the light of crops with CLAHE on the L channel of L*a*b* (Zuiderveld 1994).

    Training and inference apply it to stored crops alike, before they are augmented or resized.

    Args:
        crops: uint8 (N, S, S, 3), RGB.
        clip_limit: largest count of a histogram's bin, as a multiple of the mean count; lower
            values change less. 0: crops are returned as they are.

    Returns:
        uint8 (N, S, S, 3).
    """
    if not clip_limit:
        return crops
    clahe = cv2.createCLAHE(clip_limit, (TILES, TILES))
    result = np.empty(crops.shape, np.uint8)
    for crop, out in zip(crops, result, strict=True):
        lightness, *colors = cv2.split(cv2.cvtColor(crop, cv2.COLOR_RGB2LAB))
        cv2.cvtColor(cv2.merge([clahe.apply(lightness), *colors]), cv2.COLOR_LAB2RGB, dst=out)
    return result
