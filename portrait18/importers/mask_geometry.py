"""The geometry of a mask: its sheet over a mean face, and the camera that maps it to the photo.

A mask is a sheet in space over a mean face, in millimeters. The origin is between the eyes, x
points to the photo's right, y down to the chin, z to the camera. The five points of a face
determine the camera that maps the mean face to the photo. The sheet therefore follows the tilt,
scale, proportions and turn of the face, and the part behind the cheek stays hidden.
"""

from typing import NamedTuple

import cv2
import numpy as np

#: Left eye, right eye, nose tip, left and right corner of the mouth, as seen in the photo.
_FACE = np.array([[-32, 0, 0], [32, 0, 0], [0, 38, 30], [-26, 73, 4], [26, 73, 4]], float)
ROWS, COLUMNS = 28, 44  # patches of a sheet


class Canvas(NamedTuple):
    """The part of the photo that is painted, `fine` times as fine: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int
    fine: int

    @property
    def region(self) -> tuple[slice, slice]:
        """Index of this part in the photo."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def to_fixed_point(self, points: np.ndarray) -> np.ndarray:
        """Convert photo coordinates to sixteenths of a fine pixel, as OpenCV draws them."""
        moved = (points - (self.x0, self.y0) + 0.5) * self.fine - 0.5
        return np.rint(moved * 16).astype(np.int32)

    def blank(self, channels: int) -> np.ndarray:
        """Return a fine image of zeros, float32 (h, w, channels)."""
        height, width = self.y1 - self.y0, self.x1 - self.x0
        return np.zeros((height * self.fine, width * self.fine, channels), np.float32)

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        """Shrink a fine image to the photo's resolution."""
        return cv2.resize(
            pixels, (self.x1 - self.x0, self.y1 - self.y0), interpolation=cv2.INTER_AREA
        )


class SheetMaps(NamedTuple):
    """What each fine pixel shows of the sheet, float32 (h, w) each.

    Attributes:
        u: place across the sheet, -1 to 1.
        v: place down the sheet, 0 to 1.
        shade: light on the shape.
        cover: 1 on the sheet, 0 elsewhere.
    """

    u: np.ndarray
    v: np.ndarray
    shade: np.ndarray
    cover: np.ndarray


def camera(points: np.ndarray) -> np.ndarray:
    """Return the affine camera (2, 4) that maps the mean face to five points (5, 2), in pixels.

    Least squares. Only the nose shows how far the face is turned, so the column of depth is
    pulled to zero.
    """
    model = np.hstack([_FACE, np.ones((5, 1))])
    solved = np.linalg.solve(
        model.T @ model + np.diag([0, 0, 120.0, 0]), model.T @ np.asarray(points, float)
    ).T
    depth, most = (float(np.linalg.norm(solved[:, n])) for n in (2, 1))
    solved[:, 2] *= min(1.0, 0.6 * most / max(depth, 1e-9))
    return solved


def is_frontal(points: np.ndarray) -> bool:
    """Return whether a mask can be drawn: no profile, the mouth below the eyes.

    Three quarters of a face are enough. There MTCNN places the nose outside the eyes.
    """
    left, right, nose, *mouth = np.asarray(points, float)
    across, down = right - left, np.mean(mouth, axis=0) - (left + right) / 2
    place = (nose - left) @ across / max(across @ across, 1e-9)
    turn = across[0] * down[1] - across[1] * down[0]
    return bool(abs(place - 0.5) < 0.9 and turn > 0.2 * max(across @ across, down @ down))


def project(view: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Map points (..., 3) in millimeters to pixels (..., 2) by a camera (2, 4)."""
    return space @ view[:, :3].T + view[:, 3]


def make_canvas(view: np.ndarray, shapes: list[np.ndarray], size: tuple[int, int]) -> Canvas | None:
    """Return the canvas around some shapes; None if none of them is in the photo.

    Args:
        view: camera (2, 4).
        shapes: points in millimeters, (..., 3) each.
        size: width and height of the photo.
    """
    ends = np.concatenate([project(view, shape).reshape(-1, 2) for shape in shapes])
    pad = 12 * np.linalg.norm(view[:, 1])
    (x0, y0), (x1, y1) = (
        np.floor(ends.min(0) - pad).astype(int),
        np.ceil(ends.max(0) + pad).astype(int),
    )
    width = x1 - x0
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, size[0]), min(y1, size[1])
    if x0 >= x1 or y0 >= y1:
        return None
    return Canvas(x0, y0, x1, y1, int(np.clip(round(500 / max(width, 1)), 1, 4)))


def paint(view: np.ndarray, corners: np.ndarray, canvas: Canvas, light: np.ndarray) -> SheetMaps:
    """Paint the patches of a sheet that face the camera.

    Args:
        view: camera (2, 4).
        corners: see `sheet`.
        canvas: where to paint.
        light: unit vector (3,) towards the light.
    """
    down, right = corners[1:, :-1] - corners[:-1, :-1], corners[:-1, 1:] - corners[:-1, :-1]
    normal = np.cross(right, down)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    shade = 0.72 + 0.3 * np.clip(normal @ light, -0.5, 1)
    flat = project(view, corners)
    patches = np.stack([flat[:-1, :-1], flat[:-1, 1:], flat[1:, 1:], flat[1:, :-1]], 2)
    edges = patches[:, :, 1] - patches[:, :, 0], patches[:, :, 3] - patches[:, :, 0]
    seen = edges[0][..., 0] * edges[1][..., 1] - edges[0][..., 1] * edges[1][..., 0] > 0
    u = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 - 1
    v = (np.arange(ROWS) + 0.5) / ROWS
    maps, polygons = canvas.blank(4), canvas.to_fixed_point(patches)
    # The sides come first: where the sheet overlaps itself, its middle is closer to the camera.
    for j in np.argsort(-np.abs(u), kind="stable"):
        for i in np.flatnonzero(seen[:, j]):
            value = (u[j], v[i], float(shade[i, j]), 1.0)
            cv2.fillConvexPoly(maps, polygons[i, j], value, cv2.LINE_8, 4)
    cover = maps[..., 3].copy()
    # A patch has one value. A blur by half a patch, weighted by the cover, makes values smooth.
    sigma = max(0.5, 0.6 * canvas.fine * float(np.median(np.linalg.norm(edges[0], axis=-1))))
    maps = cv2.GaussianBlur(maps, (0, 0), sigma)
    smooth = maps[..., :3] / np.maximum(maps[..., 3:], 1e-3)
    return SheetMaps(smooth[..., 0], smooth[..., 1], smooth[..., 2], cover)
