"""The square crop of a face: around its box, or aligned by its five points."""

import cv2
import numpy as np

from portrait18.core.data_params import Align, CropParams
from portrait18.cropping.faces import Face
from portrait18.dataset.alignment import FACE_CENTER, FACE_SIDE, TEMPLATE, crop_square, similarity
from portrait18.dataset.warping import warp

#: Points are used only if they fit the template and the box; see `aligning_transform`.
MIN_FIT = 0.5
SCALE_RANGE = (0.5, 2.0)
MAX_SHIFT = 0.5


def cut(photo: np.ndarray, face: Face, source: str, params: CropParams) -> np.ndarray:
    """Crop a face as the params say; see `crop`.

    Args:
        photo: uint8 (H, W, 3).
        face: the face.
        source: how its box was found; the square of `center` gets no margin.
        params: the `crop` section.
    """
    margin = 0.0 if source == "center" else params.margin
    return crop(photo, face, params.image_size, margin, params.align)


def crop(photo: np.ndarray, face: Face, size: int, margin: float, align: Align) -> np.ndarray:
    """Crop the square around a face.

    Args:
        photo: uint8 (H, W, 3).
        face: the square has the longer side of its box and the same center.
        size: side of the result in pixels.
        margin: share of the longer side that is added (0.4: a square 1.4 times as wide).
        align: `eyes`: rotate by the tilt, so that the eyes are level. `five_points`: rotate, scale
            and shift the face's points onto the template, of which the crop shows
            `alignment.crop_square(margin)`; without usable points, the upright square. `none`.

    Returns:
        uint8 (size, size, 3). Outside the photo, its outermost pixels are repeated.
    """
    transform = aligning_transform(face) if align == "five_points" else None
    if transform is None:
        side = max(face.side * (1 + margin), 1.0)
    else:
        side = crop_square(margin).side / _scale(transform)
    # A plain warp skips pixels when it shrinks. So warp to a multiple of the size, then average.
    fine = size * max(1, int(np.ceil(side / size)))
    if transform is None:
        matrix = _around_box(face, side, fine, face.tilt if align == "eyes" else 0.0)
    else:
        matrix = _onto_template(transform, margin, fine)
    square = warp(photo, matrix, fine)
    if fine == size:
        return square
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def aligning_transform(face: Face) -> np.ndarray | None:
    """Return the similarity transform that maps a face's five points onto the template.

    Args:
        face: a face, with or without points.

    Returns:
        float (2, 3), from pixels of the photo to pixels of the template. None if the face has no
        points, or points that contradict a face seen upright in its box:

        - their configuration explains less than MIN_FIT of the template's (coinciding, mirrored or
          scattered points; a profile view still explains 0.6);
        - the face of the template is more than twice as large or less than half as large as the
          box;
        - its center is farther from the box's center than half of the box's side.
    """
    if not face.points:
        return None
    points = np.asarray(face.points).reshape(5, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        transform = similarity(points)
    if not np.isfinite(transform).all() or _fit(transform, points) < MIN_FIT:
        return None
    scale = _scale(transform)
    center = np.array([face.x0 + face.x1, face.y0 + face.y1]) / 2
    shift = np.abs(transform @ [*center, 1] - FACE_CENTER).max() / FACE_SIDE
    low, high = SCALE_RANGE
    usable = low * face.side <= FACE_SIDE / scale <= high * face.side and shift <= MAX_SHIFT
    return transform if usable else None


def _scale(transform: np.ndarray) -> float:
    """Return the template's pixels per pixel of the photo."""
    return float(np.hypot(*transform[:, 0]))


def _fit(transform: np.ndarray, points: np.ndarray) -> float:
    """Return the share (0 to 1) of the template's variance that the mapped points explain."""
    rest = points @ transform[:, :2].T + transform[:, 2] - TEMPLATE
    return float(1 - (rest**2).sum() / ((TEMPLATE - TEMPLATE.mean(0)) ** 2).sum())


def _around_box(face: Face, side: float, fine: int, tilt: float) -> np.ndarray:
    """Return the matrix float (2, 3) from the photo to a square around the box.

    Args:
        face: the face.
        side: of the square in pixels of the photo.
        fine: of the square in pixels of the result.
        tilt: rotation in degrees.
    """
    x, y = (face.x0 + face.x1) / 2, (face.y0 + face.y1) / 2
    matrix = cv2.getRotationMatrix2D((x, y), tilt, fine / side)
    matrix[0, 2] += fine / 2 - x
    matrix[1, 2] += fine / 2 - y
    return matrix


def _onto_template(transform: np.ndarray, margin: float, fine: int) -> np.ndarray:
    """Return the matrix float (2, 3) from the photo to the crop's square of the template.

    Points and template count pixels at their centers, the square at their edges.

    Args:
        transform: from pixels of the photo to pixels of the template.
        margin: share of the face's side that is added.
        fine: side of the result in pixels.
    """
    square = crop_square(margin)
    zoom = fine / square.side
    matrix = transform * zoom
    matrix[:, 2] += (0.5 - np.array([square.x0, square.y0])) * zoom - 0.5
    return matrix
