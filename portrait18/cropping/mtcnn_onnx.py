"""MTCNN with ONNX Runtime and NumPy, for computers without PyTorch.

The networks in the folder `networks` are those of `portrait18.cropping.mtcnn`, exported by
`portrait18.deployment.onnx_export`, with the weights of facenet-pytorch (MIT License); every step
between them is the same. Boxes differ by rounding errors of the networks, less than 0.01 pixels.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from portrait18.core.onnx_runtime import OnnxNetwork
from portrait18.cropping.cascade import CELL, STRIDE, Faces, scales, sorted_faces

NETWORKS = Path(__file__).with_name("networks")
BATCH = 512  # candidates per forward pass of R-Net and O-Net


class Candidates(NamedTuple):
    """Candidates of all photos; `offsets` and `points` are outputs of the last network.

    Attributes:
        photo: int64 (C,), index of the photo.
        boxes: float32 (C, 4), input boxes of the network, in pixels.
        scores: float32 (C,), 0 to 1.
        offsets: float32 (C, 4), shares of the box.
        points: float32 (C, 10), x of the five points, then y, shares of the box; (C, 0) before
            O-Net.
    """

    photo: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    offsets: np.ndarray
    points: np.ndarray

    def select(self, rows: np.ndarray) -> "Candidates":
        """Return the candidates of these rows."""
        return Candidates(*(values[rows] for values in self))


class OnnxMtcnn:
    """The cascade of P-, R- and O-Net; see `portrait18.cropping.mtcnn.Mtcnn`."""

    def __init__(self) -> None:
        names = ("pnet", "rnet", "onet")
        self.pnet, self.rnet, self.onet = (OnnxNetwork(NETWORKS / f"{n}.onnx") for n in names)

    def __call__(
        self, photos: np.ndarray, smallest: float, thresholds: tuple[float, float, float]
    ) -> list[Faces]:
        """Return all faces of each photo.

        Args:
            photos: uint8 (N, H, W, 3), RGB.
            smallest: side of the smallest face in pixels.
            thresholds: score thresholds of P-, R- and O-Net, 0 to 1.
        """
        integrals = np.stack([cv2.integral(photo, sdepth=cv2.CV_32S) for photo in photos])
        found = self._propose(integrals, smallest, thresholds[0])
        found = _refine(self.rnet, 24, integrals, _squared(found, 0), thresholds[1])
        found = found.select(_batched_nms(found.boxes, found.scores, found.photo, 0.7))
        found = _refine(self.onet, 48, integrals, _squared(found, 1), thresholds[2])
        sides = (found.boxes[:, 2:] - found.boxes[:, :2] + 1)[:, None]
        points = found.points.reshape(-1, 2, 5).transpose(0, 2, 1)
        points = sides * points + found.boxes[:, None, :2] - 1
        faces = Faces(_apply_offsets(found.boxes, found.offsets, 1), found.scores, points)
        return [sorted_faces(faces, found.photo == i) for i in range(len(photos))]

    def _propose(self, integrals: np.ndarray, smallest: float, threshold: float) -> Candidates:
        """Return P-Net's candidates at all scales."""
        count, height, width = len(integrals), integrals.shape[1] - 1, integrals.shape[2] - 1
        full, photos = np.tile([0, 0, width, height], (count, 1)), np.arange(count)
        parts, levels = [], []
        for level, scale in enumerate(scales(min(height, width), smallest)):
            size = (int(height * scale + 1), int(width * scale + 1))
            outputs = self.pnet(area_pool(integrals, photos, full, size))
            scores = outputs["probabilities"][:, 1]
            photo, y, x = np.nonzero(scores >= threshold)
            position = STRIDE * np.stack([x, y], 1).astype(np.float32)
            corners = [(position + step) / np.float32(scale) for step in (1, CELL)]
            boxes = np.floor(np.concatenate(corners, 1))
            offsets = outputs["offsets"][photo, :, y, x]
            no_points = np.zeros((len(photo), 0), np.float32)
            parts.append(Candidates(photo, boxes, scores[photo, y, x], offsets, no_points))
            levels.append(np.full(len(photo), level))
        found = Candidates(*map(np.concatenate, zip(*parts, strict=True)))
        group = found.photo * len(levels) + np.concatenate(levels)
        found = found.select(_batched_nms(found.boxes, found.scores, group, 0.5))
        return found.select(_batched_nms(found.boxes, found.scores, found.photo, 0.7))


def _refine(
    net: OnnxNetwork, side: int, integrals: np.ndarray, squares: Candidates, threshold: float
) -> Candidates:
    """Return the candidates that R-Net or O-Net gives a score above the threshold.

    Candidates that lie outside their photo are dropped.

    Args:
        net: the network.
        side: side of its input in pixels.
        integrals: integral images, int32 (N, H + 1, W + 1, 3).
        squares: candidates whose boxes are squares.
        threshold: 0 to 1.
    """
    height, width = integrals.shape[1] - 1, integrals.shape[2] - 1
    corners = np.trunc(squares.boxes).astype(np.int64)
    # facenet-pytorch counts pixels from 1.
    starts, stops = np.maximum(corners[:, :2], 1) - 1, np.minimum(corners[:, 2:], [width, height])
    inside = np.flatnonzero((stops > starts).all(1))
    photo, boxes = squares.photo[inside], squares.boxes[inside]
    views = np.concatenate([starts, stops], 1)[inside]
    parts = []
    for start in range(0, max(1, len(views)), BATCH):
        batch = slice(start, start + BATCH)
        parts.append(net(area_pool(integrals, photo[batch], views[batch], (side, side))))
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    points = outputs.get("points", np.zeros((len(photo), 0), np.float32))
    found = Candidates(photo, boxes, outputs["probabilities"][:, 1], outputs["offsets"], points)
    return found.select(np.flatnonzero(found.scores > threshold))


def area_pool(
    integrals: np.ndarray, photo: np.ndarray, boxes: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Resize rectangles of photos by averaging areas, as `integral.area_pool` does.

    Args:
        integrals: int32 (N, H + 1, W + 1, 3).
        photo: int64 (K,), index of the photo of each rectangle.
        boxes: int64 (K, 4), x0, y0, x1, y1 in whole pixels inside the photo.
        size: height and width of the result.

    Returns:
        float32 (K, 3, height, width) in [-1, 1].
    """
    height, width = size
    columns = _cells(boxes[:, 0], boxes[:, 2], width)
    rows = _cells(boxes[:, 1], boxes[:, 3], height)
    row_start = photo[:, None] * integrals.shape[1] + rows.reshape(-1, 2 * height)
    index = row_start[:, :, None] * integrals.shape[2] + columns.reshape(-1, 1, 2 * width)
    corners = integrals.reshape(-1, 3)[index].reshape(len(photo), height, 2, width, 2, 3)
    down = corners[:, :, 1] - corners[:, :, 0]
    total = (down[:, :, :, 1] - down[:, :, :, 0]).astype(np.float32)
    mean = total / np.diff(rows)[..., None].astype(np.float32)
    mean /= np.diff(columns)[:, None].astype(np.float32)
    return np.ascontiguousarray(((mean - 127.5) * 0.0078125).transpose(0, 3, 1, 2))


def _cells(start: np.ndarray, stop: np.ndarray, count: int) -> np.ndarray:
    """Split each interval into `count` cells; start and stop of each, int64 (K, count, 2)."""
    i, length = np.arange(count), (stop - start)[:, None]
    bounds = np.stack([i * length // count, -(-(i + 1) * length // count)], 2)
    return start[:, None, None] + bounds


def _batched_nms(
    boxes: np.ndarray, scores: np.ndarray, group: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Apply non-maximum suppression within each group, as `boxes.batched_nms` does.

    Args:
        boxes: float32 (C, 4).
        scores: float32 (C,).
        group: int64 (C,), e.g. the index of the photo.
        iou_threshold: overlap above which the lower score is dropped.

    Returns:
        Rows that are kept, highest score first, int64.
    """
    if not len(boxes):
        return group
    grid = np.rint(boxes.astype(np.float64) * 4096)
    grid += (group * (grid.max() - grid.min() + 1))[:, None]
    grid[:, 2:] -= grid[:, :2]
    suppress: Callable[..., Any] = cv2.dnn.NMSBoxes  # its stub has no arrays
    return np.asarray(suppress(grid, scores, 0.0, iou_threshold), np.int64).ravel()


def _apply_offsets(boxes: np.ndarray, offsets: np.ndarray, one: int) -> np.ndarray:
    """Move each corner by a share of the box's sides, to which `one` pixel is added first."""
    sides = boxes[:, 2:] - boxes[:, :2] + one
    return boxes + offsets * np.tile(sides, 2)


def _squared(found: Candidates, one: int) -> Candidates:
    """Return candidates with the squares around their corrected boxes; see `_apply_offsets`."""
    return found._replace(boxes=_to_squares(_apply_offsets(found.boxes, found.offsets, one)))


def _to_squares(boxes: np.ndarray) -> np.ndarray:
    """Return squares with the same centers and the longer side of each box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(1, keepdims=True)
    corner = boxes[:, :2] + sides * np.float32(0.5) - side * np.float32(0.5)
    return np.concatenate([corner, corner + side], 1)
