"""Photos that are stored sideways or upside down, without a mark in EXIF.

Detectors also find faces in such photos, with points that look upright, at places that are slightly
off. So where no confident upright face is found, YuNet looks at a small copy of the photo in all
four orientations. It is more reliable at a coarse scale, where a face upside down scores far
less than an upright one. If a turn wins clearly, all searches run on the turned photo. Their result
counts only if it is better than that of the photo as it is: a bald head above a mask resembles a
face upside down, and MTCNN tells these apart.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from portrait18.cropping import faces
from portrait18.cropping.faces import Face, Found
from portrait18.cropping.yunet import YuNet

#: Shorter side of the small copy in pixels, and its smallest face: a fifth, as `crop.min_face`.
SHORT_SIDE, SMALLEST = 100, 20
#: Sides of the copies that decide.
SIDES = (80, 100, 120)
#: A face with such a score is upright: by the search that found it, and by YuNet on the small copy.
#: Few photos that are not upright reach one of them.
CONFIDENT, CONFIDENT_SMALL = {"mtcnn": 0.998, "yunet": 0.9}, 0.88
#: A turn (1 to 3 quarters) wins if its score is at least LEAST, and higher than that of the photo
#: as it is by its margin, because most photos are upright. A face with a mask is mistaken most
#: easily for one upside down. Scores are means of all SIDES and their mirror images.
LEAST, MARGINS = 0.6, {1: 0.03, 2: 0.1, 3: 0.03}


def turned_photo(photo: np.ndarray, turn: int) -> np.ndarray:
    """Return a photo after quarter turns counter-clockwise.

    Args:
        photo: uint8 (H, W, 3).
        turn: 0 to 3.
    """
    return np.ascontiguousarray(np.rot90(photo, turn)) if turn else photo


def turn_back(face: Face, turn: int, width: int, height: int) -> Face:
    """Return a face of a turned photo in pixels of the photo as it was.

    Args:
        face: in pixels of the photo after `turn` quarter turns counter-clockwise.
        turn: 0 to 3.
        width: of the turned photo in pixels.
        height: of the turned photo in pixels.
    """
    if not turn:
        return face
    x0, y0, x1, y1 = face[:4]
    points = [(x, y) for x, y in np.reshape(face.points, (-1, 2)).tolist()]
    for _ in range(turn):  # clockwise: a point (x, y) moves to (height - y, x)
        x0, y0, x1, y1 = height - y1, x0, height - y0, x1
        points = [(height - y, x) for x, y in points]
        width, height = height, width
    tilt = (face.tilt + 90 * turn + 180) % 360 - 180
    corners = [round(value, 2) for value in (x0, y0, x1, y1, tilt)]
    places = tuple(round(value, 2) for point in points for value in point)
    return Face._make([*corners, face.score, places])


def is_upright(face: Face) -> bool:
    """Return whether the points are those of an upright face: eyes level, and above the mouth."""
    if not face.points:
        return True
    points = np.reshape(face.points, (5, 2))
    dx, dy = points[3:].mean(0) - points[:2].mean(0)
    return bool(abs(face.tilt) < 45 and dy > abs(dx))


def _small_copy(photo: np.ndarray, short_side: int) -> np.ndarray:
    height, width = photo.shape[:2]
    factor = min(1.0, short_side / min(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


class TurnFinder:
    """YuNet on small copies of photos."""

    def __init__(self) -> None:
        self._yunet = YuNet()

    def __call__(self, photo: np.ndarray) -> int:
        """Return the quarter turns counter-clockwise that make a photo upright, 0 if unclear.

        Args:
            photo: uint8 (H, W, 3), RGB.
        """
        small = _small_copy(photo, SHORT_SIDE)
        score = self._score(small)
        if score >= CONFIDENT_SMALL:
            return 0
        scores = {turn: self._score(np.rot90(small, turn)) for turn in MARGINS}
        best = max(MARGINS, key=lambda turn: scores[turn])
        if scores[best] <= score:
            return 0
        copies = [_small_copy(photo, side) for side in SIDES]
        mean = self._mean_score([np.rot90(copy, best) for copy in copies])
        return best if mean >= max(LEAST, self._mean_score(copies) + MARGINS[best]) else 0

    def _mean_score(self, views: list[np.ndarray]) -> float:
        scores = [self._score(side) for view in views for side in (view, view[:, ::-1])]
        return sum(scores) / len(scores)

    def _score(self, view: np.ndarray) -> float:
        """Return the score (0 to 1) of the most plausible face, 0 without one."""
        view = np.ascontiguousarray(view)
        smallest = SMALLEST / SHORT_SIDE * min(view.shape[:2])
        found = self._yunet(view, smallest, faces.YUNET_RETRY_THRESHOLD)
        best = faces.choose(faces.rounded(found), *view.shape[1::-1])
        return best.score if best and is_upright(best) else 0.0


def find(
    detector: faces.Detector,
    photos: Sequence[np.ndarray | None],
    batch_size: int,
    turn_finder: TurnFinder | None,
) -> list[Found]:
    """Detect all faces as `faces.find` does, and turn photos that are not upright.

    Args:
        detector: a callable like `Detector`.
        photos: uint8 (H, W, 3), RGB, of any sizes; None for one that cannot be decoded.
        batch_size: photos per batch.
        turn_finder: None takes all photos as they are (`crop.rotate: false`).
    """
    result = faces.find(detector, photos, batch_size)
    if turn_finder is None:
        return result
    turned, turns = [], []
    for i, photo in enumerate(photos):
        if photo is None or _is_confident(result[i], photo):
            continue
        if turn := turn_finder(photo):
            turned.append(turned_photo(photo, turn))
            turns.append((i, turn))
    again = faces.find(detector, turned, batch_size)
    for (i, turn), found in zip(turns, again, strict=True):
        photo, other = photos[i], found._replace(turn=turn)
        if photo is not None and _rank(other, photo, detector) > _rank(result[i], photo, detector):
            result[i] = other
    return result


def _rank(found: Found, photo: np.ndarray, detector: faces.Detector) -> tuple[int, float]:
    """Return a tuple that is larger for an earlier search, then for a higher score."""
    best = found.choose(photo)
    if best is None or not is_upright(best):
        return -len(detector.searches), 0.0
    return -detector.searches.index(found.search), best.score


def _is_confident(found: Found, photo: np.ndarray) -> bool:
    """Return whether a photo needs no look at its turns.

    Faces that are too small for the small copy cannot be compared, so they count as upright. A face
    of a search without an entry in `CONFIDENT` never does: scores are at most 1.
    """
    best = found.choose(photo)
    if best is None or not is_upright(best):
        return False
    if best.side < SMALLEST / SHORT_SIDE * min(photo.shape[:2]):
        return True
    return best.score >= CONFIDENT.get(found.search, 2.0)
