"""Crops that need no new computation: those of a killed run and of unchanged photos.

They are kept in a work folder. No byte of the crop store depends on it:

    rows.jsonl      journal of the current run: where each face was found, before photos without
                    a face get a fallback box
    last.jsonl      the same of the last complete run
    0.npy, 1.npy    pixels of the two runs; the first line of each journal names its file
"""

import hashlib
import importlib.metadata
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import PIL
import torch

from portrait18.core import arithmetic, journal
from portrait18.core.data_params import CropParams
from portrait18.core.files import atomic_write

PIXEL_FILES = ("0.npy", "1.npy")
COPY_BATCH = 1024  # crops copied at once, so that memory does not grow with their number


class _Record(NamedTuple):
    """Content of a journal.

    Attributes:
        photos: hash of the keys of all photos.
        pixels: name of its pixel file.
        rows: key of a photo -> (position, row).
    """

    photos: str
    pixels: str
    rows: dict[str, tuple[int, list]]


def _read(path: Path, settings: str) -> _Record:
    """Read a journal; without rows if the settings differ or the pixels cannot be read."""
    header, pieces = journal.read(path)
    if not isinstance(header, list) or len(header) != 3 or header[2] not in PIXEL_FILES:
        return _Record("", "", {})
    if header[0] != settings or not _is_valid(path.with_name(header[2])):
        return _Record(header[1], header[2], {})
    rows = {key: (i, row) for piece in pieces for i, key, row in piece}
    return _Record(header[1], header[2], rows)


def _is_valid(path: Path) -> bool:
    """Return whether all pixels can be read.

    A file that is too short must be detected here: opened for writing, it would be padded.
    """
    try:
        pixels = np.lib.format.open_memmap(path, mode="r")
        if pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.flags.c_contiguous:
            return True
        reason = f"it contains {pixels.dtype} {pixels.shape}"
    except FileNotFoundError:
        return False
    except OSError:
        raise
    except Exception as error:  # a damaged header raises half a dozen kinds
        reason = type(error).__name__
    print(f"{path} is damaged ({reason}); its crops are computed again", flush=True)
    return False


def _has_shape(path: Path, shape: tuple) -> bool:
    return path.exists() and np.lib.format.open_memmap(path, mode="r").shape == shape


def _allocate(path: Path, shape: tuple) -> np.memmap:
    """Return a new .npy file of zeros, writable.

    Raises:
        OSError: the disk has no space for all of it.
    """
    path.unlink(missing_ok=True)  # never overwritten: a finished store may be a link to it
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with open(path, "r+b") as file:
        # On a full disk, writing to a map of a sparse file kills the process without a message.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, pixels.offset + pixels.nbytes)
        else:
            file.seek(pixels.offset)
            for _ in pixels:
                file.write(bytes(pixels[0].nbytes))
    return pixels


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


def photo_keys(inventory: pd.DataFrame) -> list[str]:
    """Return a key of each photo's content.

    Args:
        inventory: columns digest, width and height.
    """
    columns = (inventory.digest, inventory.width, inventory.height)
    return [f"{digest}-{width}x{height}" for digest, width, height in zip(*columns, strict=True)]


class Work:
    """Crops of one inventory that exist so far, and those of the last run.

    A crop is identified by its photo's content, so people may be added, removed and reordered.
    Settings, code and libraries must be the same.

    Args:
        folder: the work folder.
        inventory: columns digest, width and height.
        params: the `crop` section.
        device: where the networks run.
        code: fingerprint of the source code.

    Attributes:
        keys: see `photo_keys`.
        pixels: uint8 (N, size, size, 3), a memory map; valid where `rows` has the photo.
        rows: position in the inventory -> [found, x0, y0, x1, y1, tilt, score, points, context
            descriptor in hexadecimal]; `found` is "" for a photo without a face.
    """

    def __init__(
        self,
        folder: Path,
        inventory: pd.DataFrame,
        params: CropParams,
        device: torch.device,
        code: str = "",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.keys = photo_keys(inventory)
        settings = _settings(params, device, code)
        photos, path = _hash(*self.keys), folder / "rows.jsonl"
        self.last, killed = _read(folder / "last.jsonl", settings), _read(path, settings)
        if killed.photos != photos and len(killed.rows) > len(self.last.rows):
            # The photos have changed since the kill, but the killed run got further than the last.
            os.replace(path, folder / "last.jsonl")
            self.last = killed
        self.pixels_path = folder / PIXEL_FILES[self.last.pixels == PIXEL_FILES[0]]
        shape = (len(inventory), params.image_size, params.image_size, 3)
        if (
            not killed.rows
            or killed.pixels != self.pixels_path.name
            or not _has_shape(self.pixels_path, shape)
        ):
            path.unlink(missing_ok=True)  # its pixels do not exist
        self.journal = journal.Journal(path, [settings, photos, self.pixels_path.name])
        self.rows = {i: row for piece in self.journal.pieces for i, _, row in piece}
        self.pixels: np.memmap
        if self.rows:
            self.pixels = np.lib.format.open_memmap(self.pixels_path, mode="r+")
        else:
            self.pixels = _allocate(self.pixels_path, shape)

    def copy_unchanged(self) -> int:
        """Copy the crops of unchanged photos from the last run; return their number."""
        unchanged = [
            (i, *self.last.rows[key])
            for i, key in enumerate(self.keys)
            if i not in self.rows and key in self.last.rows
        ]
        if unchanged:
            pixels = np.load(self.folder / self.last.pixels, mmap_mode="r")
            for start in range(0, len(unchanged), COPY_BATCH):
                batch = unchanged[start : start + COPY_BATCH]
                target, source, rows = zip(*batch, strict=True)
                self.pixels[list(target)] = pixels[list(source)]
                self.add(dict(zip(target, rows, strict=True)))
        self.last = self.last._replace(rows={})
        return len(unchanged)

    def add(self, rows: dict[int, list], pixels: dict[int, np.ndarray] | None = None) -> None:
        """Keep rows.

        Args:
            rows: see the attribute.
            pixels: position -> crop, for crops that are not in `self.pixels` yet.
        """
        for i, crop in (pixels or {}).items():
            self.pixels[i] = crop
        self.pixels.flush()  # before the journal, whose lines promise that the pixels exist
        self.journal.add([[i, self.keys[i], row] for i, row in rows.items()])
        self.rows |= rows

    def finish(self, npy: Path) -> None:
        """Make this run the last one and its pixels the crop store; a kill here costs no crop.

        Args:
            npy: file of the crop store.
        """
        self.pixels.flush()
        os.replace(self.journal.path, self.folder / "last.jsonl")
        for name in PIXEL_FILES:
            if name != self.pixels_path.name:
                (self.folder / name).unlink(missing_ok=True)
        with atomic_write(npy) as tmp_path:
            tmp_path.unlink(missing_ok=True)
            try:
                os.link(self.pixels_path, tmp_path)
            except OSError:  # another disk, or one without links: a copy is cheaper than detection
                shutil.copyfile(self.pixels_path, tmp_path)


def _settings(params: CropParams, device: torch.device, code: str) -> str:
    """Return a hash of everything but the photos that crops depend on."""
    libraries = [module.__version__ for module in (torch, np, cv2, PIL)]
    libraries.append(importlib.metadata.version("torchvision"))  # importing it takes seconds
    computation = [device.type, *map(str, arithmetic.description())]
    return _hash(repr(params), *computation, code, *libraries)
