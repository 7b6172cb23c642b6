"""What a killed run of the crop stage leaves for the next one: its chunks, and the pixels that they vouch for."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from portrait18.files import code_digest, whole
from portrait18.params import CropParams
from portrait18.surroundings import NUMBERS


class Journal:
    """Chunks already done, kept beside their pixels, so that a killed run goes on where it stopped.

    The first line is a fingerprint of inventory, params and code: work for other ones is thrown away.
    """

    def __init__(self, work: Path, inventory: pd.DataFrame, params: CropParams):
        work.mkdir(parents=True, exist_ok=True)
        self.rows_path, self.pixels_path = work / "rows.jsonl", work / "pixels.npy"
        text = inventory.to_csv(index=False) + repr(params) + torch.__version__ + code_digest()
        fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        shape = (len(inventory), params.size, params.size, 3)
        self.chunks = self._read(fingerprint) if _holds(self.pixels_path, shape) else {}
        if self.chunks:
            # Whole lines only: what comes next must not be written behind half a one.
            lines = [fingerprint, *([start, rows] for start, rows in self.chunks.items())]
            with whole(self.rows_path) as aside:
                aside.write_text("".join(json.dumps(line) + "\n" for line in lines))
            self.pixels = np.lib.format.open_memmap(self.pixels_path, mode="r+")
        else:
            self.rows_path.unlink(missing_ok=True)  # before the pixels that it vouches for
            self.pixels = np.lib.format.open_memmap(self.pixels_path, mode="w+", dtype=np.uint8, shape=shape)
            self.rows_path.write_text(json.dumps(fingerprint) + "\n")

    def _read(self, fingerprint: str) -> dict[int, list]:
        if not self.rows_path.exists():
            return {}
        chunks = {}
        first, *lines = self.rows_path.read_text(errors="replace").split("\n")
        if first != json.dumps(fingerprint):
            return {}
        for line in lines[:-1]:  # what follows the last newline was cut off by the kill
            entry = _entry(line, sum(map(len, chunks.values())))
            if entry is None:
                break
            chunks.update(entry)
        return chunks

    def add(self, start: int, rows: list) -> None:
        self.pixels.flush()  # the pixels first: a line in the journal vouches for them
        with open(self.rows_path, "a") as file:
            file.write(json.dumps([start, rows]) + "\n")
        self.chunks[start] = rows

    def finish(self, npy: Path) -> None:
        """Move the pixels to where they belong: a rename, or a copy where that is another disk."""
        self.pixels.flush()
        with whole(npy) as aside:
            shutil.move(self.pixels_path, aside)
        self.rows_path.unlink()


def _holds(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file is an array of uint8 of this shape; after a power cut it may be anything."""
    try:
        pixels = np.load(path, mmap_mode="r")
    except Exception:  # NumPy reads its header as Python, so a damaged one raises anything
        return False
    return pixels.shape == shape and pixels.dtype == np.uint8 and pixels.flags.c_contiguous


def _entry(line: str, start: int) -> dict[int, list] | None:
    """A journal's line as {start: rows}; None if it is not whole, or does not begin where the one before it ended."""
    try:
        told, rows = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    sound = told == start and isinstance(rows, list) and rows and all(map(_is_row, rows))
    return {start: rows} if sound else None


def _is_row(row: object) -> bool:
    """Whether this is how a photo's face was found, its box, tilt and score, and what lies around it."""
    if not (isinstance(row, list) and len(row) == 8 and isinstance(row[0], str) and isinstance(row[7], list)):
        return False
    numbers = [*row[1:7], *row[7]]
    return len(row[7]) == NUMBERS and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
