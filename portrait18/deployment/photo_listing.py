"""Expand files, folders and patterns to photos, and read many photos in little memory."""

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np

from portrait18.core.errors import UserError
from portrait18.dataset import photos
from portrait18.dataset.photos import PhotoError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
#: A chunk ends at this many photos, or this many pixels (3 bytes each).
CHUNK, CHUNK_PIXELS = 32, 64_000_000
AHEAD = 4  # photos decoded ahead of the current chunk
#: A path with the decoded photo, or the reason why it cannot be decoded.
ReadPhoto: TypeAlias = tuple[Path, np.ndarray | PhotoError]


def list_photos(names: Iterable[str]) -> list[Path]:
    """Return the photos that the arguments of a command name, each once, in their order.

    Args:
        names: files, taken whatever their suffix; folders, searched for photos by suffix,
            including subfolders, sorted; or patterns (`*`, `**`, `?`, `[...]`), sorted. Folders and
            patterns skip files whose name begins with a dot.

    Raises:
        UserError: names without a photo, one line each.
    """
    found: dict[Path, None] = {}
    problems = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            matches = sorted(
                p for p in path.rglob("*") if _is_photo(p.relative_to(path)) and p.is_file()
            )
            problem = f"no photos in this folder; photos end in {', '.join(SUFFIXES)}"
        elif path.exists() or not glob.has_magic(name):
            matches = [path] if path.exists() else []
            problem = "no such file or folder; name a photo, a folder or a pattern"
        else:
            found_files = sorted(glob.glob(name, recursive=True))
            matches = [Path(p) for p in found_files if os.path.isfile(p)]
            problem = "no file matches this pattern; name a photo, a folder or another pattern"
        if not matches:
            problems.append(f"{name}: {problem}")
        found.update(dict.fromkeys(matches))
    if problems:
        raise UserError(problems)
    return list(found)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def read_in_chunks(paths: list[Path], max_pixels: int) -> Iterator[list[ReadPhoto]]:
    """Decode photos in threads and yield them in order, one chunk at a time.

    Args:
        paths: the photos.
        max_pixels: larger photos (width x height) are bad photos.
    """
    chunk: list[ReadPhoto] = []
    pixels = 0
    for path, photo in _decode_ahead(paths, max_pixels):
        area = 0 if isinstance(photo, PhotoError) else photo.shape[0] * photo.shape[1]
        if chunk and (len(chunk) == CHUNK or pixels + area > CHUNK_PIXELS):
            yield chunk
            chunk, pixels = [], 0
        chunk.append((path, photo))
        pixels += area
    if chunk:
        yield chunk


def _decode_ahead(paths: list[Path], max_pixels: int) -> Iterator[ReadPhoto]:
    def read(path: Path) -> np.ndarray | PhotoError:
        try:
            return photos.read(path, max_pixels)
        except PhotoError as error:
            return error

    with ThreadPoolExecutor(AHEAD) as pool:
        pending: deque[tuple[Path, Future[np.ndarray | PhotoError]]] = deque()
        for path in paths:
            pending.append((path, pool.submit(read, path)))
            if len(pending) > AHEAD:
                first, future = pending.popleft()
                yield first, future.result()
        for path, future in pending:
            yield path, future.result()
