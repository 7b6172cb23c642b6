"""Crops that are not computed again: a killed run's, and those of photos that are as they were in the last run.

The work folder holds them; no byte of the crop store depends on what is in it:

    rows.jsonl     journal of the run that is going on: where each photo's face was found, before the missed ones
                   are given a box
    last.jsonl     the same of the last run that ended well
    0.npy, 1.npy   the pixels that the two speak of; the first line of each says which
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
import torchvision

from portrait18.core import journal
from portrait18.core.files import atomic_write
from portrait18.core.params import CropParams

PIXELS = ("0.npy", "1.npy")
COPIED = 1024  # crops copied at once: memory does not grow with their number


class _Record(NamedTuple):
    """What a journal says: a hash of all its photos, its pixel file, and photo's key -> (position, row)."""

    photos: str = ""
    pixels: str = ""
    rows: dict[str, tuple[int, list]] = {}


def _read(path: Path, settings: str) -> _Record:
    """No rows if they were made with other settings or their pixels can't be read."""
    header, pieces = journal.read(path)
    if not isinstance(header, list) or len(header) != 3 or header[2] not in PIXELS:
        return _Record()
    if header[0] != settings or not _sound(path.with_name(header[2])):
        return _Record(*header[1:])
    return _Record(*header[1:], {key: (i, row) for piece in pieces for i, key, row in piece})


def _sound(path: Path) -> bool:
    """Whether the pixels can be read, all of them. Opened for writing, a file that is too short is filled with zeros."""
    try:
        pixels = np.lib.format.open_memmap(path, mode="r")
        if pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.flags.c_contiguous:
            return True
        reason = f"it holds {pixels.dtype} {pixels.shape}"
    except FileNotFoundError:
        return False
    except OSError:
        raise
    except Exception as error:  # a header of garbage raises half a dozen kinds
        reason = type(error).__name__
    print(f"{path} is damaged ({reason}); its crops are done again", flush=True)
    return False


def _has_shape(path: Path, shape: tuple) -> bool:
    return path.exists() and np.lib.format.open_memmap(path, mode="r").shape == shape


def _allocate(path: Path, shape: tuple) -> np.ndarray:
    """A new .npy of zeros to write to; `OSError` if the disk has no room for all of it."""
    path.unlink(missing_ok=True)  # never written over: a finished store may be a link to it
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with open(path, "r+b") as file:
        # A map over a file with holes ends the process without a word where the disk is full.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, pixels.offset + pixels.nbytes)
        else:
            file.seek(pixels.offset)
            for _ in pixels:
                file.write(bytes(pixels[0].nbytes))
    return pixels


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


class Work:
    """The crops of one inventory that are done so far, and the last run's.

    A crop is known by its photo's content: people may come, go and change places. Settings, code and libraries
    must be the same.

    Attributes:
        pixels: uint8 (N, size, size, 3), a memory map; valid where `rows` has the photo.
        rows: position in the inventory -> [found, x0, y0, x1, y1, tilt, score, what lies around it]; `found`
            is empty where no face was.
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
        photos = zip(inventory.digest, inventory.width, inventory.height, strict=True)
        self.keys = [f"{digest} {width}x{height}" for digest, width, height in photos]
        libraries = [module.__version__ for module in (torch, torchvision, np, cv2, PIL)]
        libraries.append(importlib.metadata.version("facenet-pytorch"))
        settings = _hash(repr(params), device.type, code, *libraries)
        fingerprint, path = _hash(*self.keys), folder / "rows.jsonl"
        self.last, killed = _read(folder / "last.jsonl", settings), _read(path, settings)
        if killed.photos != fingerprint and len(killed.rows) > len(self.last.rows):
            os.replace(
                path, folder / "last.jsonl"
            )  # photos have changed since it was killed, but it got further
            self.last = killed
        self.pixels_path = folder / PIXELS[self.last.pixels == PIXELS[0]]
        shape = (len(inventory), params.image_size, params.image_size, 3)
        if (
            not killed.rows
            or killed.pixels != self.pixels_path.name
            or not _has_shape(self.pixels_path, shape)
        ):
            path.unlink(missing_ok=True)  # it vouches for pixels that are not there
        self.journal = journal.Journal(path, [settings, fingerprint, self.pixels_path.name])
        self.rows = {i: row for piece in self.journal.pieces for i, _, row in piece}
        if self.rows:
            self.pixels = np.lib.format.open_memmap(self.pixels_path, mode="r+")
        else:
            self.pixels = _allocate(self.pixels_path, shape)

    def take_over(self) -> int:
        """Copy what the last run has of the photos that are not done; returns how many."""
        same = [
            (i, *self.last.rows[k])
            for i, k in enumerate(self.keys)
            if i not in self.rows and k in self.last.rows
        ]
        if same:
            pixels = np.load(self.folder / self.last.pixels, mmap_mode="r")
            for at in range(0, len(same), COPIED):
                to, of, rows = zip(*same[at : at + COPIED], strict=True)
                self.pixels[list(to)] = pixels[list(of)]
                self.add(dict(zip(to, rows, strict=True)))
        self.last = self.last._replace(rows={})
        return len(same)

    def add(self, rows: dict[int, list], pixels: dict[int, np.ndarray] | None = None) -> None:
        """Keep rows, and the crops of those that have one and are not in `self.pixels` already."""
        for i, crop in (pixels or {}).items():
            self.pixels[i] = crop
        self.pixels.flush()  # the pixels first: a line in the journal vouches for them
        self.journal.add([[i, self.keys[i], row] for i, row in rows.items()])
        self.rows |= rows

    def finish(self, npy: Path) -> None:
        """Make this run the last, then its pixels the crop store: a kill in between costs no crop."""
        self.pixels.flush()
        os.replace(self.journal.path, self.folder / "last.jsonl")
        for name in PIXELS:
            if name != self.pixels_path.name:
                (self.folder / name).unlink(missing_ok=True)
        with atomic_write(npy) as tmp_path:
            tmp_path.unlink(missing_ok=True)
            try:
                os.link(self.pixels_path, tmp_path)
            except OSError:  # another disk, or one that has no links: disk is cheaper than looking for faces again
                shutil.copyfile(self.pixels_path, tmp_path)
