"""Where the face is: batched MTCNN, the most plausible of several faces, and the square crop around it."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from portrait18.core.params import CropParams
from portrait18.cropping.mtcnn import Faces, Mtcnn
from portrait18.dataset.warping import warp

#: P-, R- and O-Net thresholds: the usual ones, and the ones a photo without a face is tried with
#: again. Masks hide what the networks look for: at the usual thresholds they miss 1 masked face in 15.
THRESHOLDS = (0.6, 0.7, 0.7)
RETRY_THRESHOLDS = (0.4, 0.4, 0.3)


class Face(NamedTuple):
    """One face in pixels of the upright photo; `tilt` is the angle of the line between the eyes, degrees."""

    x0: float
    y0: float
    x1: float
    y1: float
    tilt: float
    score: float

    @property
    def side(self) -> float:
        return max(self.x1 - self.x0, self.y1 - self.y0)


class Detector:
    """MTCNN at both thresholds, on `device`; the smallest face it looks for follows from the photo's size.

    On a CPU, a photo's faces do not depend on the photos beside it, to the last digit: what is found in another
    batch is the same. GPUs choose kernels by the batch's size; there it is not promised.

    Args:
        min_face: smallest face, as a share (0 to 1) of the photo's shorter side.
        device: where the networks run.
    """

    def __init__(self, min_face: float, device: torch.device):
        self.min_face = min_face
        self.mtcnn = Mtcnn(device)

    def __call__(self, batch: np.ndarray, retry: bool = False) -> list[list[Face]]:
        """All faces of each photo, the largest first.

        Args:
            batch: uint8 (N, H, W, 3), RGB, equal sizes.
            retry: use the lower thresholds.
        """
        # Below 20 px MTCNN finds texture, not faces; it is also its own default.
        smallest = max(20, self.min_face * min(batch.shape[1:3]))
        return [
            _faces(found)
            for found in self.mtcnn(batch, smallest, RETRY_THRESHOLDS if retry else THRESHOLDS)
        ]


def _faces(found: Faces) -> list[Face]:
    faces = []
    for box, score, (left, right, *_) in zip(*found, strict=True):
        tilt = np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0]))
        # Rounded, so that the crop can be made again from what the CSV says.
        faces.append(
            Face(*(round(float(v), 2) for v in box), round(float(tilt), 2), round(float(score), 4))
        )
    return faces


def find(
    detector: Detector, photos: Sequence[np.ndarray | None], batch_size: int
) -> list[tuple[list[Face], str]]:
    """All faces of each photo, and how they were found; equal-size photos go through the networks together.

    Args:
        photos: uint8 (H, W, 3), RGB, of any sizes; None for one that can't be decoded.
        batch_size: photos at a time.

    Returns:
        `mtcnn`: at the usual thresholds; `retry`: at the lower ones, where the usual ones find nothing; an
        empty list with "" where neither does, with `none` for None.
    """
    result: list = [([], "none" if photo is None else "") for photo in photos]
    for retry, how in ((False, "mtcnn"), (True, "retry")):
        by_size: dict[tuple, list[int]] = {}
        for i, photo in enumerate(photos):
            if photo is not None and not result[i][0]:
                by_size.setdefault(photo.shape[:2], []).append(i)
        for rows in by_size.values():
            for at in range(0, len(rows), batch_size):
                batch = rows[at : at + batch_size]
                for i, found in zip(
                    batch, detector(np.stack([photos[i] for i in batch]), retry), strict=True
                ):
                    if found:
                        result[i] = (found, how)
    return result


def center(photo: np.ndarray) -> Face:
    """The photo's middle square: what a pipeline without a face detector cuts."""
    height, width = photo.shape[:2]
    side = min(height, width)
    return Face(
        (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2, 0.0, 0.0
    )


def choose(faces: list[Face], width: int, height: int) -> Face | None:
    """The most plausible face of a portrait: large, near the middle of the photo, and sure.

    Plausibility is score x sqrt(share of the photo's area) x a Gaussian of the distance from the
    center (standard deviation: half the photo). None if there is no face.
    """

    def plausibility(face: Face) -> float:
        area = max(0.0, face.x1 - face.x0) * max(0.0, face.y1 - face.y0) / (width * height)
        dx = ((face.x0 + face.x1) / width - 1) / 2
        dy = ((face.y0 + face.y1) / height - 1) / 2
        return face.score * np.sqrt(area) * np.exp(-2 * (dx * dx + dy * dy))

    return max(faces, key=plausibility, default=None)


def cut(photo: np.ndarray, face: Face, how: str, params: CropParams) -> np.ndarray:
    """`crop` as the params say; `how` the face was found (`center`: the square is the whole crop)."""
    return crop(
        photo, face, params.image_size, 0.0 if how == "center" else params.margin, params.align
    )


def crop(photo: np.ndarray, face: Face, size: int, margin: float, align: bool) -> np.ndarray:
    """Cut the square around a face.

    Args:
        photo: uint8 (H, W, 3).
        face: its box; the square has the box's longer side, centerd on it.
        size: side of the result in pixels.
        margin: share of the longer side added to it (0.4: a square 1.4 times as wide).
        align: turn the square by the face's tilt, so that the eyes come out level.

    Returns:
        uint8 (size, size, 3); beyond the photo's edge its border pixels are repeated.
    """
    side = max(face.side * (1 + margin), 1.0)
    # A plain warp skips pixels when it shrinks: warp to a multiple of the size, then average over areas.
    fine = size * max(1, int(np.ceil(side / size)))
    scale = fine / side
    center = ((face.x0 + face.x1) / 2, (face.y0 + face.y1) / 2)
    matrix = cv2.getRotationMatrix2D(center, face.tilt if align else 0.0, scale)
    matrix[:, 2] += fine / 2 - np.array(center)
    square = warp(photo, matrix, fine)
    return (
        square if fine == size else cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    )
