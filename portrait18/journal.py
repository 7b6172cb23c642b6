"""What a killed run of the crop stage leaves for the next one: its chunks, and the pixels that they vouch for."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from portrait18.files import code_digest, whole
from portrait18.params import CropParams


class Journal:
    """Chunks already done, kept beside their pixels, so that a killed run goes on where it stopped.

    The first line is a fingerprint of inventory, params and code: work for other ones is thrown away. It stays when
    the work is done: until DVC has taken over what was made of it, a kill would cost all of it.
    """

    def __init__(self, work: Path, inventory: pd.DataFrame, params: CropParams):
        work.mkdir(parents=True, exist_ok=True)
        self.rows_path, self.pixels_path = work / "rows.jsonl", work / "pixels.npy"
        text = inventory.to_csv(index=False) + repr(params) + torch.__version__ + code_digest()
        fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        shape = (len(inventory), params.size, params.size, 3)
        self.chunks = self._read(fingerprint)
        self.pixels = self._open(shape) if self.chunks else None
        if self.pixels is not None:
            # Whole lines only: what comes next must not be written behind half a one.
            with whole(self.rows_path) as aside:
                aside.write_text("".join(map(_line, [fingerprint, *map(list, self.chunks.items())])))
        else:
            self.chunks = {}
            self.rows_path.unlink(missing_ok=True)  # before the pixels that it vouches for
            self.pixels = _allocate(self.pixels_path, shape)
            self.rows_path.write_text(_line(fingerprint))

    def _read(self, fingerprint: str) -> dict[int, list]:
        if not (self.rows_path.exists() and self.pixels_path.exists()):
            return {}
        first, *lines = self.rows_path.read_text(errors="replace").split("\n")
        if first + "\n" != _line(fingerprint):
            return {}
        entries = [
            line.rpartition(" ")[0] for line in lines[:-1]
        ]  # what follows the last newline was cut off by a kill
        good = [json.loads(e) for e, line in zip(entries, lines[:-1], strict=True) if _signed(e) == line]
        if len(good) < len(entries):
            print(
                f"{self.rows_path} is damaged; {len(entries) - len(good)} of its {len(entries)} chunks are done again"
            )
        return dict(good)

    def _open(self, shape: tuple) -> np.ndarray | None:
        """The pixels, to write to; None if they are not what the rows vouch for."""
        try:
            if self.pixels_path.stat().st_nlink > 1:  # finished: what it was linked to must never change
                with whole(self.pixels_path) as aside:
                    shutil.copyfile(self.pixels_path, aside)
            # Read first: opened for writing, a file that is too short is filled up with zeros.
            pixels = np.lib.format.open_memmap(self.pixels_path, mode="r")
            if pixels.shape == shape and pixels.dtype == np.uint8:
                return np.lib.format.open_memmap(self.pixels_path, mode="r+")
        except OSError:
            raise
        except Exception as error:  # a header of garbage raises half a dozen kinds
            print(f"{self.pixels_path} is damaged ({type(error).__name__}); starting this set anew")
            return None
        print(f"{self.pixels_path} is damaged (its shape is {pixels.shape}); starting this set anew")
        return None

    def add(self, start: int, rows: list) -> None:
        self.pixels.flush()  # the pixels first: a line in the journal vouches for them
        with open(self.rows_path, "a") as file:
            file.write(_line([start, rows]))
        self.chunks[start] = rows

    def finish(self, npy: Path) -> None:
        """Put the pixels where they belong: a second name for the same bytes, or a copy where that is another disk."""
        self.pixels.flush()
        with whole(npy) as aside:
            aside.unlink(missing_ok=True)
            try:
                os.link(self.pixels_path, aside)
            except OSError:
                shutil.copyfile(self.pixels_path, aside)


def _signed(text: str) -> str:
    return f"{text} {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _line(entry: str | list) -> str:
    return _signed(json.dumps(entry)) + "\n"


def _allocate(path: Path, shape: tuple) -> np.ndarray:
    """A new .npy of zeros to write to; `OSError` if the disk has no room for all of it."""
    path.unlink(missing_ok=True)  # never over the old bytes: they may be those of a finished set
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
