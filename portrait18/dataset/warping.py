"""One sampling of pixels, for cutting faces out and for turning crops."""

import cv2
import numpy as np


def warp(photo: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Sample a photo bilinearly where an affine matrix leads; beyond its edge its border pixels are repeated.

    Args:
        photo: uint8 (H, W, 3).
        matrix: float (2, 3), from pixels of the photo to those of the result.
        side: of the result, pixels.

    Returns:
        uint8 (side, side, 3).
    """
    # The same pixels as from three channels, in less than half the time: OpenCV is quicker at four.
    four = cv2.cvtColor(photo, cv2.COLOR_RGB2RGBA)
    four = cv2.warpAffine(
        four, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.cvtColor(four, cv2.COLOR_RGBA2RGB)
