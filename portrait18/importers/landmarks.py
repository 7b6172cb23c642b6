"""The five points of the face on each photo, where `portrait18.cropping.faces` tells the box alone."""

import numpy as np

from portrait18.cropping.faces import THRESHOLDS, Face, choose
from portrait18.cropping.mtcnn import Mtcnn


def find(net: Mtcnn, batch: list[np.ndarray], min_face: float) -> list[np.ndarray | None]:
    """The five points of the most plausible face of each photo; photos of equal size are looked at together.

    Args:
        net: asked at its usual thresholds: a face that only lower ones find has points that can't be trusted.
        batch: photos, uint8 (H, W, 3), RGB.
        min_face: smallest face, as a share (0 to 1) of the photo's shorter side; at least 20 px.

    Returns:
        For each photo float (5, 2), x and y in pixels: left eye, right eye, nose tip, left and right corner of
        the mouth, left as one sees the photo; or None where no face is found.
    """
    result: list = [None] * len(batch)
    by_size: dict[tuple, list[int]] = {}
    for i, photo in enumerate(batch):
        by_size.setdefault(photo.shape[:2], []).append(i)
    for (height, width), rows in by_size.items():
        smallest = max(20, min_face * min(height, width))
        of_photos = net(np.stack([batch[i] for i in rows]), smallest, THRESHOLDS)
        for i, (boxes, scores, points) in zip(rows, of_photos, strict=True):
            if len(boxes):
                of_face = [
                    Face(*map(float, b), 0.0, float(s)) for b, s in zip(boxes, scores, strict=True)
                ]
                result[i] = np.asarray(points[of_face.index(choose(of_face, width, height))], float)
    return result
