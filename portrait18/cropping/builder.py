"""The crop store of a set of photos.

    <set>.npy           uint8 (N, size, size, 3), RGB, in the order of the inventory; read as a
                        memory map
    <set>.csv           photo, x0, y0, x1, y1, tilt, score, the ten coordinates of the five points
                        (empty without a detected face), found
    <set>_context.npy   int8 (N, 144): descriptors of what surrounds the face, see
                        `portrait18.cropping.context`

`found` is the source of the box: `mtcnn`, `retry` (lower thresholds), `yunet`, `rotated` (on the
photo turned upright; box, tilt and points are those in the photo as it is), `person` (median box of
the person's other photos), `median` (of the whole set), `center` (central square, if the params ask
for it) or `none` (the photo cannot be decoded; a gray crop keeps its row).
"""

import io
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from portrait18.core import processes
from portrait18.core.data_params import CropParams
from portrait18.core.files import write_bytes
from portrait18.cropping.faces import Face
from portrait18.cropping.fallback import fill_missing
from portrait18.cropping.processing import ChunkProcessor
from portrait18.cropping.reuse import Work
from portrait18.cropping.spool import PixelSpool
from portrait18.dataset.alignment import POINT_COLUMNS
from portrait18.dataset.tables import write_csv

#: Limits of a chunk, which is an entry of the journal. A kill costs each process at most one chunk
#: and the started part of the next.
CHUNK = 256  # photos
CHUNK_BATCHES = 8  # a small crop.batch_size also means small chunks
CHUNK_PIXELS = 64_000_000  # up to two chunks are decoded in memory, 3 bytes per pixel
COLUMNS = ["photo", "x0", "y0", "x1", "y1", "tilt", "score", *POINT_COLUMNS, "found"]
_UNKNOWN = (math.nan,) * len(POINT_COLUMNS)


@dataclass(frozen=True)
class CropJob:
    """Photos to crop, and where the results go.

    Attributes:
        inventory: columns images (folder), photo (file in it), width, height (0: cannot be
            decoded), digest; and folder, if persons are known.
        folder: folder of the store.
        name: name of the set.
        params: the `crop` section.
        work_dir: folder of reusable work, see `portrait18.cropping.reuse`.
        device: where the networks run.
        code: fingerprint of the source code; work of other code is not reused.
    """

    inventory: pd.DataFrame
    folder: Path
    name: str
    params: CropParams
    work_dir: Path
    device: torch.device
    code: str = ""


def build(job: CropJob) -> pd.DataFrame | None:
    """Crop every photo and write the store. Memory does not grow with the number of photos.

    Each photo is decoded once, except photos without a face beyond `spool.MAX_BYTES`.

    Returns:
        The table of the CSV on the main process, None on the others.
    """
    inventory = job.inventory
    work = None
    if processes.is_main_process():
        work = Work(job.work_dir, inventory, job.params, job.device, job.code)
    todo: list[int] = processes.broadcast(work and _prepare(work))
    spool = PixelSpool(_spool_folder(job.work_dir), share=1 / processes.world_size())
    max_photos = min(CHUNK, CHUNK_BATCHES * job.params.batch_size)
    chunks = [todo[start:stop] for start, stop in chunk_bounds(inventory.iloc[todo], max_photos)]
    process = ChunkProcessor(inventory, job.params, job.device, spool)
    done = len(inventory) - len(todo)
    with (
        closing(process(processes.shard(chunks))) as results,
        tqdm(
            total=len(inventory), initial=done, desc="crop", unit="photo", disable=work is None
        ) as bar,
    ):
        for gathered in processes.gather_in_order(results, len(chunks)):
            if work is None:
                continue
            for crops in gathered:
                pixels = {crop.row: crop.pixels for crop in crops if crop.pixels is not None}
                work.add({crop.row: crop.record for crop in crops}, pixels)
                bar.update(len(crops))
    return _write(job, work, spool) if work else None


def _spool_folder(work_dir: Path) -> Path:
    return work_dir / "undetected"


def _prepare(work: Work) -> list[int]:
    """Take over crops of earlier runs; return the rows that are left."""
    if work.rows:
        print(f"resuming from photo {len(work.rows)} of {len(work.keys)}", flush=True)
    else:
        PixelSpool(_spool_folder(work.folder)).clear()  # of a run that cannot be resumed
    if unchanged := work.copy_unchanged():
        print(
            f"{unchanged} of {len(work.keys)} photos are unchanged: reusing their crops",
            flush=True,
        )
    return [i for i in range(len(work.keys)) if i not in work.rows]


def chunk_bounds(inventory: pd.DataFrame, max_photos: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each chunk.

    Args:
        inventory: columns width and height.
        max_photos: photos of a chunk; several together also have at most CHUNK_PIXELS.
    """
    start, pixels = 0, 0
    for i, area in enumerate(inventory.width * inventory.height):
        if i > start and (i - start == max_photos or pixels + area > CHUNK_PIXELS):
            yield start, i
            start, pixels = i, 0
        pixels += area
    if start < len(inventory):
        yield start, len(inventory)


def _write(job: CropJob, work: Work, spool: PixelSpool) -> pd.DataFrame:
    """Fill in photos without a face and write the files of the store."""
    records = fill_missing(work, job.inventory, job.params, spool)
    found, *box, points, context = zip(*records, strict=True)
    coordinates = zip(*(row or _UNKNOWN for row in points), strict=True)
    names = ("found", *Face._fields[:-1], *POINT_COLUMNS)
    columns = dict(zip(names, (found, *box, *coordinates), strict=True))
    table = job.inventory[["photo"]].assign(**columns)[COLUMNS]
    write_csv(table, job.folder / f"{job.name}.csv")
    descriptors = np.frombuffer(bytes.fromhex("".join(context)), np.int8)
    file = io.BytesIO()
    np.save(file, descriptors.reshape(len(records), -1))
    write_bytes(file.getbuffer(), job.folder / f"{job.name}_context.npy")
    work.finish(job.folder / f"{job.name}.npy")
    spool.clear()
    return table
