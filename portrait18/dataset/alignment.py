"""Geometry of crops that are aligned by five points, and of the regions that networks see of them.

Coordinates are those of the ArcFace template, in which a face fits a square of 112 x 112 px.
"""

from typing import NamedTuple

import numpy as np

#: Left eye, right eye, nose, left and right corner of the mouth (left in the photo), x and y
#: (Deng et al. 2019, ArcFace; the template of InsightFace and of OpenCV's SFace).
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
#: Columns of a table that hold the five points, in the order of the template.
POINT_COLUMNS = tuple(
    f"{name}_{axis}"
    for name in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    for axis in "xy"
)
#: Median longer side and center of MTCNN's box in the template: a crop that is aligned by five
#: points shows as much of a face as one that is cut around the box. Measured on 80 photos.
FACE_SIDE = 103.0
FACE_CENTER = (56.0, 64.0)
#: Eyes of the mean face of dlib's chips, as fractions of a chip with padding 0: each the mean of
#: an eye's two corners (dlib/image_transforms/interpolation.h, get_face_chip_details).
_DLIB_EYES = np.array([[0.2273300, 0.2213959], [0.7528140, 0.2212328]])
_DLIB_PADDING = 0.25


class Square(NamedTuple):
    """A square region, in pixels of the template or as fractions of a crop.

    Attributes:
        x0: left edge.
        y0: top edge.
        side: width and height.
    """

    x0: float
    y0: float
    side: float


def _dlib_chip() -> Square:
    eyes = (_DLIB_EYES + _DLIB_PADDING) / (1 + 2 * _DLIB_PADDING)
    side = np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]) / np.linalg.norm(eyes[1] - eyes[0])
    x0, y0 = TEMPLATE[:2].mean(0) - side * eyes.mean(0)
    return Square(float(x0), float(y0), float(side))


#: Input of ArcFace networks.
ARCFACE = Square(0.0, 0.0, 112.0)
#: Input of dlib's face recognition network: a chip with padding 0.25.
DLIB_CHIP = _dlib_chip()


def crop_square(margin: float) -> Square:
    """Return the square of the template that a crop shows.

    Args:
        margin: `crop.margin`, share of the face's side that is added.
    """
    side = FACE_SIDE * (1 + margin)
    return Square(FACE_CENTER[0] - side / 2, FACE_CENTER[1] - side / 2, side)


def within_crop(region: Square, margin: float) -> Square:
    """Return a region of the template as fractions of a crop's side.

    Args:
        region: in pixels of the template; may reach beyond the crop.
        margin: `crop.margin`.
    """
    crop = crop_square(margin)
    return Square(
        (region.x0 - crop.x0) / crop.side,
        (region.y0 - crop.y0) / crop.side,
        region.side / crop.side,
    )


def similarity(points: np.ndarray, template: np.ndarray = TEMPLATE) -> np.ndarray:
    """Return the similarity transform that maps points to a template with the least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991, for two dimensions and without reflection.

    Args:
        points: float (5, 2), x and y in pixels of a photo.
        template: float (5, 2).

    Returns:
        float (2, 3): rotation, scale and shift. Not finite if all points coincide.
    """
    center, target = points.mean(0), template.mean(0)
    (x, y), (u, v) = (points - center).T, (template - target).T
    norm = (x * x + y * y).sum()
    a, b = (x * u + y * v).sum() / norm, (x * v - y * u).sum() / norm
    rotation = np.array([[a, -b], [b, a]])
    return np.column_stack([rotation, target - rotation @ center])
