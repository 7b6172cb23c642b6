"""What MTCNN's two implementations share: the result, the scales, and the order of faces.

`portrait18.cropping.mtcnn` runs with PyTorch, `portrait18.cropping.mtcnn_onnx` without it.
"""

from typing import NamedTuple

import numpy as np

SCALE_STEP = 0.709  # ratio of neighboring scales, as in the paper
CELL, STRIDE = 12, 2  # pixels: receptive field of P-Net, and distance of neighboring outputs


class Faces(NamedTuple):
    """Faces of one photo, largest first.

    Attributes:
        boxes: float32 (F, 4), x0, y0, x1, y1 in pixels.
        scores: float32 (F,), 0 to 1.
        points: float32 (F, 5, 2), pixels: left eye, right eye, nose, left and right mouth corner.
    """

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray


def scales(side: int, smallest: float) -> list[float]:
    """Return the scales of a photo whose shorter side has `side` pixels; at least one."""
    found = [CELL / smallest]
    left = side * found[0] * SCALE_STEP
    while left >= CELL:
        found.append(found[-1] * SCALE_STEP)
        left *= SCALE_STEP
    return found


def sorted_faces(faces: Faces, selected: np.ndarray) -> Faces:
    """Return one photo's faces without boxes inside others, largest first.

    Args:
        faces: faces of all photos.
        selected: bool (F,), which of them belong to the photo.
    """
    rows = np.flatnonzero(selected)
    if len(rows) > 1:  # of two nested boxes, the one with the higher score stays
        rows = rows[drop_nested(faces.boxes[rows], faces.scores[rows], 0.7)]
    sides = faces.boxes[rows, 2:] - faces.boxes[rows, :2]
    rows = rows[np.argsort(sides[:, 0] * sides[:, 1])[::-1]]
    return Faces(*(values[rows] for values in faces))


def drop_nested(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Apply non-maximum suppression to boxes that lie inside others.

    Args:
        boxes: float32 (C, 4), of one photo; both corner pixels belong to a box.
        scores: float32 (C,).
        threshold: share of the smaller box that may overlap a box with a higher score.

    Returns:
        Rows that are kept, highest score first, int64.
    """
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    left, kept = np.argsort(scores), []
    while left.size:
        best, left = left[-1], left[:-1]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(0, high - low + 1).prod(1)
        left = left[shared / np.minimum(area[best], area[left]) <= threshold]
    return np.array(kept, np.int64)
