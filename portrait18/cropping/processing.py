"""Chunks of photos, decoded, searched for faces and cropped by several threads."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from portrait18.core.data_params import CropParams
from portrait18.core.errors import UserError
from portrait18.cropping import context, faces, framing, rotation
from portrait18.cropping.faces import Face
from portrait18.cropping.reuse import photo_keys
from portrait18.cropping.spool import PixelSpool
from portrait18.dataset import photos


class PhotoReader:
    """Reads the photos of an inventory by row.

    Args:
        inventory: columns images (folder), photo (file in it) and width (0: cannot be decoded).

    Attributes:
        valid: whether each photo can be decoded.
    """

    def __init__(self, inventory: pd.DataFrame):
        self.paths = [
            Path(folder, name)
            for folder, name in zip(inventory.images, inventory.photo, strict=True)
        ]
        self.valid = (inventory.width > 0).tolist()

    def __call__(self, row: int) -> np.ndarray:
        """Return uint8 (H, W, 3).

        Raises:
            UserError: the photo has changed since the check stage and cannot be decoded.
        """
        try:
            return photos.read(self.paths[row], max_pixels=2**40)  # check tested the size
        except photos.PhotoError as error:
            raise UserError(
                f"{self.paths[row]} {error}; the file has changed since the check stage,"
                " run dvc repro check"
            ) from None


class Crop(NamedTuple):
    """One processed photo.

    Attributes:
        row: row of the inventory.
        record: see `reuse.Work.rows`.
        pixels: uint8 (size, size, 3); None without a face.
    """

    row: int
    record: list
    pixels: np.ndarray | None


@contextmanager
def thread_pool(threads: int, initializer: Callable | None = None) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool that drops its pending tasks on exit or failure."""
    pool = ThreadPoolExecutor(threads, initializer=initializer)
    torch_threads = torch.get_num_threads()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # An initializer that sets PyTorch's threads also sets them for threads started later.
        torch.set_num_threads(torch_threads)


class ChunkProcessor:
    """Finds and crops the faces of chunks of photos.

    Each thread takes a batch of photos through all steps: decode, detect, crop. On a CPU this uses
    the cores better than PyTorch's own threads, which split one layer of one batch, so each thread
    runs PyTorch single-threaded. On a GPU one batch at a time is detected, to limit its memory,
    while other threads decode and crop.

    Args:
        inventory: see `builder.CropJob`.
        params: the `crop` section.
        device: where the networks run.
        spool: receives the photos without a face.
    """

    def __init__(
        self,
        inventory: pd.DataFrame,
        params: CropParams,
        device: torch.device,
        spool: PixelSpool,
    ):
        self.params, self.spool = params, spool
        self.read = PhotoReader(inventory)
        self.keys = photo_keys(inventory)
        self.detector = faces.Detector(params.min_face, device, params.method)
        self.turn_finder = rotation.TurnFinder() if params.rotate else None
        self.turn: AbstractContextManager = nullcontext()
        self.initializer: Callable | None = None
        if device.type == "cpu":
            self.threads = torch.get_num_threads()
            self.batch_size = -(-params.batch_size // self.threads)
            self.initializer = partial(torch.set_num_threads, 1)
        else:
            self.threads, self.batch_size = os.cpu_count() or 1, params.batch_size
            self.turn = Lock()

    def __call__(self, chunks: Sequence[list[int]]) -> Generator[list[Crop]]:
        """Yield the crops of each chunk in order; the next chunk is processed meanwhile."""
        started: deque[list[Future]] = deque()
        rest = iter(chunks)
        with thread_pool(self.threads, self.initializer) as pool:
            while True:
                # Start enough of the next chunks that no thread waits for the end of this one.
                while sum(map(len, islice(started, 1, None))) < self.threads:
                    chunk = next(rest, None)
                    if chunk is None:
                        break
                    batches = range(0, len(chunk), self.batch_size)
                    started.append(
                        [
                            pool.submit(self._process, chunk[at : at + self.batch_size])
                            for at in batches
                        ]
                    )
                if not started:
                    return
                yield [crop for batch in started.popleft() for crop in batch.result()]

    def _process(self, batch: list[int]) -> list[Crop]:
        decoded = [self.read(row) if self.read.valid[row] else None for row in batch]
        with self.turn:
            found = self._find(decoded)
        return [
            self._crop(row, photo, *chosen)
            for row, photo, chosen in zip(batch, decoded, found, strict=True)
        ]

    def _find(self, decoded: list[np.ndarray | None]) -> list[tuple[Face | None, str, int]]:
        """Return the chosen face of each photo, its source and the turn of `faces.Found`."""
        if self.params.method == "center":
            return [
                (None, "none", 0) if photo is None else (faces.center(photo), "center", 0)
                for photo in decoded
            ]
        found = rotation.find(self.detector, decoded, self.params.batch_size, self.turn_finder)
        return [
            (None if photo is None else f.choose(photo), f.source, f.turn)
            for photo, f in zip(decoded, found, strict=True)
        ]

    def _crop(
        self, row: int, photo: np.ndarray | None, face: Face | None, source: str, turn: int
    ) -> Crop:
        if photo is None or face is None:
            if photo is not None:
                self.spool.save(self.keys[row], photo)
            return Crop(row, make_record(source, face, photo), None)
        upright = rotation.turned_photo(photo, turn)
        record = make_record(source, face, upright)
        record[1:-1] = rotation.turn_back(face, turn, *upright.shape[1::-1])
        return Crop(row, record, framing.cut(upright, face, source, self.params))


def make_record(source: str, face: Face | None, photo: np.ndarray | None) -> list:
    """Return what the journal keeps of a photo, see `reuse.Work.rows`.

    The context descriptor is kept as hexadecimal text: a quarter of the memory of a list.
    """
    if photo is None or face is None:
        return [source, *(0.0,) * 6, (), bytes(context.LENGTH).hex()]
    return [source, *face, context.descriptor(photo, face[:4]).tobytes().hex()]
