"""Decode every photo once: sizes, digests, and which photos can't be used."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from portrait18.dataset.file_reading import file_bytes
from portrait18.dataset.photos import PhotoError, decode_photo


class Probed(NamedTuple):
    """Photos that were decoded once.

    Attributes:
        table: the table with the columns `images`, `width`, `height` (0 for a photo that cannot be
            decoded) and `digest` of the file.
        problems: a line for each photo that cannot be decoded.
        warnings: a line for each photo with intact pixels in a damaged file.
    """

    table: pd.DataFrame
    problems: list[str]
    warnings: list[str]


def _probe(path: Path, max_pixels: int) -> tuple[int, int, str, str, str]:
    """Return width, height, digest of the bytes, problem and warning; zeros with a problem."""
    try:
        data = file_bytes(path, max_pixels)
        photo = decode_photo(data, max_pixels)
    except PhotoError as error:
        return 0, 0, "", str(error), ""
    height, width, _ = photo.pixels.shape
    return width, height, hashlib.blake2b(data, digest_size=8).hexdigest(), "", photo.warning


def probe(table: pd.DataFrame, images: Path, max_pixels: int) -> Probed:
    """Decode every photo once.

    Args:
        table: column `photo`, file names in `images`.
        images: folder of the photos.
        max_pixels: larger photos are rejected.
    """
    with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter lock
        found = list(pool.map(lambda name: _probe(images / name, max_pixels), table.photo))
    width, height, digest, *texts = list(zip(*found, strict=True)) or [()] * 5
    table = table.assign(images=images.as_posix(), width=width, height=height, digest=digest)
    problems, warnings = (
        [f"{images / name} {text}" for name, text in zip(table.photo, column, strict=True) if text]
        for column in texts
    )
    return Probed(table, problems, warnings)
