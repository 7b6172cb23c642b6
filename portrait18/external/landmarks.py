"""The five points of the face on each photo, where `portrait18.cropping.faces` tells the box alone.

MTCNN: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", 2016; weights inside the facenet-pytorch package.
"""

import numpy as np
import torch
from facenet_pytorch import MTCNN

from portrait18.cropping.faces import THRESHOLDS, Face, choose


def detector(device: torch.device) -> MTCNN:
    """MTCNN at its usual thresholds: a face that only lower ones find has points that can't be trusted."""
    return MTCNN(keep_all=True, thresholds=list(THRESHOLDS), device=device).eval()


def find(net: MTCNN, batch: list[np.ndarray], min_face: float) -> list[np.ndarray | None]:
    """The five points of the most plausible face of each photo; photos of equal size are looked at together.

    Args:
        net: of `detector`.
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
        net.min_face_size = max(20, min_face * min(height, width))
        with torch.inference_mode():
            found = net.detect(np.stack([batch[i] for i in rows]), landmarks=True)
        for i, boxes, scores, points in zip(rows, *found, strict=True):
            if boxes is not None:
                of_face = [Face(*map(float, b), 0.0, float(s)) for b, s in zip(boxes, scores, strict=True)]
                result[i] = np.asarray(points[of_face.index(choose(of_face, width, height))], float)
    return result
