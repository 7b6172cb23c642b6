"""Find the five points of each face, not rounded."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from portrait18.cropping.cascade import Faces
from portrait18.cropping.faces import THRESHOLDS, Face, choose

#: A detector like `mtcnn.Mtcnn`: photos, smallest face, thresholds -> faces of each photo.
Net: TypeAlias = Callable[[np.ndarray, float, tuple[float, float, float]], list[Faces]]


def find(net: Net, batch: list[np.ndarray], min_face: float) -> list[np.ndarray | None]:
    """Return the five points of the most plausible face of each photo.

    The network runs at its usual thresholds: lower ones find faces whose points are unreliable.

    Args:
        net: detector. It runs once for all photos of a size.
        batch: photos, uint8 (H, W, 3), RGB.
        min_face: smallest face, as a share (0 to 1) of the photo's shorter side; at least 20 px.

    Returns:
        For each photo None where no face is found, or float (5, 2), x and y in pixels: left eye,
        right eye, nose tip, left and right corner of the mouth, as seen in the photo.
    """
    result: list[np.ndarray | None] = [None] * len(batch)
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, photo in enumerate(batch):
        height, width = photo.shape[:2]
        by_size.setdefault((height, width), []).append(i)
    for (height, width), rows in by_size.items():
        smallest = max(20, min_face * min(height, width))
        detections = net(np.stack([batch[i] for i in rows]), smallest, THRESHOLDS)
        for i, (boxes, scores, points) in zip(rows, detections, strict=True):
            faces = []
            for box, score in zip(boxes, scores, strict=True):
                x0, y0, x1, y1 = map(float, box)
                faces.append(Face(x0, y0, x1, y1, 0.0, float(score)))
            best = choose(faces, width, height)
            if best:
                result[i] = np.asarray(points[faces.index(best)], np.float64)
    return result
