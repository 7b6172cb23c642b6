"""Context descriptors: clothes and background around a face as a few numbers.

Two photos of the same sitting have nearly the same descriptor.
"""

import cv2
import numpy as np

GRIDS = ((6, 2), (6, 2), (3, 8))  # rows x columns of the strips left, right and below
LENGTH = 3 * sum(rows * columns for rows, columns in GRIDS)


def descriptor(photo: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return the colors around the face.

    Args:
        photo: uint8 (H, W, 3), RGB.
        box: x0, y0, x1, y1 of the face in pixels; may extend beyond the photo.

    Returns:
        int8 (LENGTH,): mean colors of the cells of three strips. Most of their overall mean is
        subtracted and their contrast is normalized, because light and exposure change within one
        sitting.
    """
    height, width = photo.shape[:2]
    x0, _, x1, y1 = box
    min_width, min_height = max(1, width // 24), max(1, height // 20)  # strips are never empty
    left = int(np.clip(round(x0), min_width, width - 2 * min_width))
    right = int(np.clip(round(x1), left + min_width, width - min_width))
    below = int(np.clip(round(y1), min_height, height - min_height))
    strips = photo[:below, :left], photo[:below, right:], photo[below:]
    cells = np.concatenate(
        [
            cv2.resize(
                np.ascontiguousarray(strip), (columns, rows), interpolation=cv2.INTER_AREA
            ).reshape(-1, 3)
            for strip, (rows, columns) in zip(strips, GRIDS, strict=True)
        ]
    ).astype(np.float64)
    # A part of the mean stays, and plain photos are not stretched to full contrast, because both
    # distinguish people.
    normalized = (cells - 0.8 * cells.mean(0)) / (cells.std() + 20) * 60
    return np.rint(normalized.ravel()).clip(-127, 127).astype(np.int8)
