"""The seven photos of a person, one of them as it is and six with drawn masks."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write
from portrait18.dataset import photos
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.limits import MAX_PIXELS, MIN_SIDE
from portrait18.importers import mask_drawing, occluders
from portrait18.importers.mask_styles import OCCLUDERS, WAYS, Variety

QUALITY = 92  # of the JPEG files


def read(path: Path, side: int) -> np.ndarray:
    """Return the photo, its longer side at most `side` pixels.

    Raises:
        UserError: The photo can't be read any more.
    """
    try:
        photo = photos.read(path, MAX_PIXELS)
    except photos.PhotoError as error:
        raise UserError(
            f"{path} {error}; it was readable when the photos were listed, run this command again"
        ) from None
    scale = side / max(photo.shape[:2])
    if scale >= 1:
        return photo
    width, height = (max(MIN_SIDE, round(n * scale)) for n in photo.shape[1::-1])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def draw(
    photo: np.ndarray, points: np.ndarray, key: tuple[int, str], variety: Variety
) -> dict[str, np.ndarray]:
    """Return the seven photos of a person, uint8 (H, W, 3), by file stem.

    Args:
        photo: uint8 (H, W, 3), RGB.
        points: five points of a frontal face, see `landmarks.find`.
        key: seed and id of the person. The same key gives the same bytes.
        variety: which masks, hands and scarves to draw.
    """
    result = {}
    for state in MASK_BY_STEM:
        text = f"{key[0]}/{key[1]}/{state}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest))
        result[state] = _vary_view(_draw_state(photo, points, state, variety, rng), rng)
    return result


def _draw_state(
    photo: np.ndarray,
    points: np.ndarray,
    state: str,
    variety: Variety,
    rng: np.random.Generator,
) -> np.ndarray:
    seed = int(rng.integers(2**32))
    if state == "normal":
        if rng.random() >= variety.occluded:
            return photo
        return occluders.draw(photo, points, OCCLUDERS[rng.integers(len(OCCLUDERS))], seed)
    worn = "worn"
    if state == "incorrect_mask":
        worn = WAYS[1:][rng.choice(len(WAYS) - 1, p=variety.incorrect)]
    return mask_drawing.draw(photo, points, worn, seed, variety)


def _vary_view(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Zoom in a little and change the light, because a person's seven photos are never equal."""
    height, width = photo.shape[:2]
    zoom, place = rng.uniform(1, 1.08), rng.random(2)
    moved = np.array(
        [[zoom, 0, -(zoom - 1) * width * place[0]], [0, zoom, -(zoom - 1) * height * place[1]]]
    )
    nearer = cv2.warpAffine(
        photo, moved, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.rint((nearer * rng.uniform(0.9, 1.06)).clip(0, 255)).astype(np.uint8)


def write(folder: Path, drawn: dict[str, np.ndarray]) -> None:
    """Write the photos of a person as JPEG files.

    `normal` is compressed like the others, so that no trace of the file reveals the mask state.
    """
    for state, photo in drawn.items():
        _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with atomic_write(folder / f"{state}.jpg") as tmp_path:
            tmp_path.write_bytes(data.tobytes())


def is_complete(folder: Path) -> bool:
    """Return whether the folder has all seven photos of a person."""
    return all((folder / f"{state}.jpg").exists() for state in MASK_BY_STEM)
