"""Photos named on a command line: files, folders and patterns; and reading many of them in little memory."""

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from portrait18.core.errors import UserError
from portrait18.dataset import photos

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
#: Photos that are answered together: as many, or as have so many pixels together (3 bytes each).
CHUNK, CHUNK_PIXELS = 32, 64_000_000
AHEAD = 4  # photos decoded while others are looked at


def listed(names: Iterable[str]) -> list[Path]:
    """The photos that some words name, each once, in their order.

    A folder names every photo in it and below it by its suffix, sorted; a pattern (`*`, `**`, `?`, `[...]`)
    what fits it; a file itself, whatever its suffix. Files whose name begins with a dot are left out of
    folders and patterns.

    Raises:
        UserError: a line for every word that names no photo.
    """
    found: dict[Path, None] = {}
    problems = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            some = sorted(
                p for p in path.rglob("*") if _is_photo(p.relative_to(path)) and p.is_file()
            )
            wanted = f"a folder without photos; photos end in {', '.join(SUFFIXES)}"
        elif path.exists() or not glob.has_magic(name):
            some = [path] if path.exists() else []
            wanted = "no such file or folder; name a photo, a folder or a pattern"
        else:
            some = [Path(p) for p in sorted(glob.glob(name, recursive=True)) if os.path.isfile(p)]
            wanted = "a pattern that no file fits; name a photo, a folder or another pattern"
        if not some:
            problems.append(f"{name}: {wanted}")
        found.update(dict.fromkeys(some))
    if problems:
        raise UserError(problems)
    return list(found)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def chunks(
    paths: list[Path], max_pixels: int
) -> Iterator[list[tuple[Path, np.ndarray | photos.PhotoError]]]:
    """Decoded photos (or why they can't be) in their order, a chunk at a time; the next are decoded meanwhile."""
    chunk: list = []
    pixels = 0
    for path, photo in _decoded(paths, max_pixels):
        area = 0 if isinstance(photo, photos.PhotoError) else photo.shape[0] * photo.shape[1]
        if chunk and (len(chunk) == CHUNK or pixels + area > CHUNK_PIXELS):
            yield chunk
            chunk, pixels = [], 0
        chunk.append((path, photo))
        pixels += area
    if chunk:
        yield chunk


def _decoded(
    paths: list[Path], max_pixels: int
) -> Iterator[tuple[Path, np.ndarray | photos.PhotoError]]:
    def read(path: Path) -> np.ndarray | photos.PhotoError:
        try:
            return photos.read(path, max_pixels)
        except photos.PhotoError as error:
            return error

    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque = deque()
        for path in paths:
            waiting.append((path, pool.submit(read, path)))
            if len(waiting) > AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for path, future in waiting:
            yield path, future.result()
