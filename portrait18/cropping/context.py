"""What lies around a face, clothes and background, as a few numbers: two photos of one sitting have nearly the same."""

import cv2
import numpy as np

GRIDS = ((6, 2), (6, 2), (3, 8))  # rows x columns of the strips left, right and below
CELLS = sum(rows * columns for rows, columns in GRIDS)
NUMBERS = 3 * CELLS


def descriptor(photo: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """What lies outside the face.

    Args:
        photo: uint8 (H, W, 3), RGB.
        box: x0, y0, x1, y1 of the face in pixels; may reach over the border of the photo.

    Returns:
        int8 (NUMBERS,): colors of the cells of the strips, without most of their mean and with their
        contrast evened out, because light and exposure change between two photos of one sitting.
    """
    height, width = photo.shape[:2]
    x0, _, x1, y1 = box
    edge_x, edge_y = max(1, width // 24), max(1, height // 20)  # a strip is never empty
    left = int(np.clip(round(x0), edge_x, width - 2 * edge_x))
    right = int(np.clip(round(x1), left + edge_x, width - edge_x))
    below = int(np.clip(round(y1), edge_y, height - edge_y))
    strips = photo[:below, :left], photo[:below, right:], photo[below:]
    cells = np.concatenate(
        [
            cv2.resize(
                np.ascontiguousarray(strip), (columns, rows), interpolation=cv2.INTER_AREA
            ).reshape(-1, 3)
            for strip, (rows, columns) in zip(strips, GRIDS, strict=True)
        ]
    ).astype(np.float64)
    # Some of the mean stays, and plain photos are not stretched to full contrast: both tell people apart.
    evened = (cells - 0.8 * cells.mean(0)) / (cells.std() + 20) * 60
    return np.rint(evened.ravel()).clip(-127, 127).astype(np.int8)
