"""Faces of a photo: batched detection, and the choice of one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from portrait18.cropping.cascade import Faces
from portrait18.cropping.yunet import YuNet

if TYPE_CHECKING:  # PyTorch takes seconds to import and need not be installed
    import torch

#: Score thresholds of P-, R- and O-Net: the default ones, and those of a second attempt. Masks hide
#: features of the face: with the default thresholds, 1 of 10 faces with a worn mask is missed.
THRESHOLDS = (0.6, 0.7, 0.7)
RETRY_THRESHOLDS = (0.4, 0.4, 0.3)
#: The same of YuNet. Its score of a masked face is often below 0.6.
YUNET_THRESHOLD, YUNET_RETRY_THRESHOLD = 0.6, 0.3
#: `crop.method` -> its searches in order, by the name that the column `found` has for each. YuNet
#: comes before MTCNN's second attempt, one in ten of whose boxes shows an eye or hair only.
SEARCHES = {"mtcnn": ("mtcnn", "yunet", "retry"), "yunet": ("yunet", "retry"), "center": ()}
#: YuNet looks too where the `plausibility` of MTCNN's face is lower. Its face replaces one that it
#: overlaps by less (intersection over union): somebody in the background, or a part of the face.
PLAUSIBLE, SAME_FACE = 0.4, 0.6


class Face(NamedTuple):
    """One face.

    Attributes:
        x0: left edge of the box in pixels of the upright photo.
        y0: top edge.
        x1: right edge.
        y1: bottom edge.
        tilt: angle of the line between the eyes in degrees.
        score: of the detector, 0 to 1.
        points: x and y of left eye, right eye, nose, left and right corner of the mouth (left in
            the photo), ten numbers in pixels; empty if unknown.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    tilt: float
    score: float
    points: tuple[float, ...] = ()

    @property
    def side(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)


class Found(NamedTuple):
    """Faces of one photo.

    Attributes:
        faces: those of the search that found the best one, in pixels of the photo after `turn`.
        search: that search; "" without a face, `none` without a photo.
        replaced: faces of an earlier search whose best one is less plausible.
        turn: quarter turns counter-clockwise that make the photo upright, 0 to 3; see `rotation`.
    """

    faces: list[Face]
    search: str
    replaced: list[Face]
    turn: int = 0

    @property
    def source(self) -> str:
        """Value of the column `found`."""
        return "rotated" if self.turn else self.search

    def choose(self, photo: np.ndarray) -> Face | None:
        """Return the most plausible face of the photo before `turn`, see `choose`."""
        height, width = photo.shape[:2]
        size = (height, width) if self.turn % 2 else (width, height)
        return choose(self.faces, *size)


class Detector:
    """MTCNN, then YuNet, then MTCNN with lower thresholds; or YuNet alone, twice.

    `find` says which photos each search looks at.

    On a CPU, the faces of a photo do not depend on the other photos of the batch, to the last bit.
    GPUs select kernels by batch size, so this is not guaranteed there.

    Args:
        min_face: smallest face as a share (0 to 1) of the photo's shorter side.
        device: where PyTorch runs MTCNN; None: ONNX Runtime runs it on the CPU. YuNet always runs
            on the CPU.
        method: `crop.method`.

    Attributes:
        searches: names of the searches in their order.
    """

    def __init__(self, min_face: float, device: torch.device | None, method: str = "mtcnn"):
        self.min_face = min_face
        self.searches = SEARCHES[method]
        self.mtcnn = _mtcnn(device) if "mtcnn" in self.searches else None
        self.yunet = YuNet() if "yunet" in self.searches else None

    def __call__(self, batch: np.ndarray, search: str) -> list[list[Face]]:
        """Return all faces of each photo, largest first.

        Args:
            batch: uint8 (N, H, W, 3), RGB.
            search: one of `searches`.
        """
        # Below 20 px MTCNN finds texture instead of faces; 20 is also its default.
        smallest = max(20, self.min_face * min(batch.shape[1:3]))
        if self.mtcnn and search != "yunet":
            thresholds = RETRY_THRESHOLDS if search == "retry" else THRESHOLDS
            return [rounded(found) for found in self.mtcnn(batch, smallest, thresholds)]
        assert self.yunet
        first = search == self.searches[0]
        threshold = YUNET_THRESHOLD if first else YUNET_RETRY_THRESHOLD
        return [rounded(self.yunet(photo, smallest, threshold)) for photo in batch]


def _mtcnn(device: torch.device | None) -> Callable[..., list[Faces]]:
    if device is None:
        from portrait18.cropping.mtcnn_onnx import OnnxMtcnn

        return OnnxMtcnn()
    from portrait18.cropping.mtcnn import Mtcnn

    return Mtcnn(device)


def rounded(found: Faces) -> list[Face]:
    """Return faces with the digits that the table of crops stores, which suffice to repeat a crop.

    Args:
        found: of one photo.
    """
    faces = []
    for box, score, points in zip(*found, strict=True):
        dx, dy = points[1] - points[0]
        tilt = float(np.degrees(np.arctan2(dy, dx)))
        corners = [round(float(value), 2) for value in (*box, tilt)]
        places = tuple(round(float(value), 2) for value in points.ravel())
        faces.append(Face._make([*corners, round(float(score), 4), places]))
    return faces


def find(detector: Detector, photos: Sequence[np.ndarray | None], batch_size: int) -> list[Found]:
    """Detect all faces; photos of equal size go through the networks together.

    The first search looks at all photos, each other one at those without a face in the ones before.
    YuNet also looks where MTCNN's best face is not plausible, and replaces it by a more plausible
    one elsewhere.

    Args:
        detector: a callable like `Detector`.
        photos: uint8 (H, W, 3), RGB, of any sizes; None for one that cannot be decoded.
        batch_size: photos per batch.
    """
    result = [Found([], "none" if photo is None else "", []) for photo in photos]
    best: list[Face | None] = [None] * len(photos)
    for search in detector.searches:
        by_size: dict[tuple, list[tuple[int, np.ndarray]]] = {}
        for i, photo in enumerate(photos):
            if photo is not None and _looks_at(search, best[i], *photo.shape[1::-1]):
                by_size.setdefault(photo.shape[:2], []).append((i, photo))
        for (height, width), same_size in by_size.items():
            for start in range(0, len(same_size), batch_size):
                rows, batch = zip(*same_size[start : start + batch_size], strict=True)
                for i, found in zip(rows, detector(np.stack(batch), search), strict=True):
                    face = choose(found, width, height)
                    if face and _is_better(face, best[i], width, height):
                        result[i], best[i] = Found(found, search, result[i].faces), face
    return result


def _looks_at(search: str, best: Face | None, width: int, height: int) -> bool:
    """Return whether a search looks at a photo in which `best` was found so far."""
    if best is None:
        return True
    return search == "yunet" and plausibility(best, width, height) < PLAUSIBLE


def _is_better(face: Face, best: Face | None, width: int, height: int) -> bool:
    """Return whether a face is more plausible than the best so far, and another one."""
    if best is None:
        return True
    more = plausibility(face, width, height) > plausibility(best, width, height)
    return more and overlap(face, best) < SAME_FACE


def overlap(face: Face, other: Face) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(face.x1, other.x1) - max(face.x0, other.x0)
    height = min(face.y1, other.y1) - max(face.y0, other.y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (face.area + other.area - shared) if shared else 0.0


def center(photo: np.ndarray) -> Face:
    """Return the central square of a photo, which pipelines without a detector crop."""
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return Face(left, top, (width + side) / 2, (height + side) / 2, 0.0, 0.0)


def choose(faces: list[Face], width: int, height: int) -> Face | None:
    """Return the most plausible face of a portrait, see `plausibility`.

    Args:
        faces: candidates; the result is None if there are none.
        width: of the photo in pixels.
        height: of the photo in pixels.
    """
    return max(faces, key=lambda face: plausibility(face, width, height), default=None)


def plausibility(face: Face, width: int, height: int) -> float:
    """Return how well a face fits a portrait, 0 to 1: large, central and with a high score.

    It is score * sqrt(share of the photo's area) * a Gaussian of the distance from the center
    (standard deviation: half the photo).

    Args:
        face: in pixels of the photo.
        width: of the photo in pixels.
        height: of the photo in pixels.
    """
    share = face.area / (width * height)
    dx = ((face.x0 + face.x1) / width - 1) / 2
    dy = ((face.y0 + face.y1) / height - 1) / 2
    return face.score * np.sqrt(share) * np.exp(-2 * (dx * dx + dy * dy))
