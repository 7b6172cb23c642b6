"""The crop store: one uint8 array for each set of photos, a CSV that says how each crop was found, and more.

    <set>.npy   uint8 (N, size, size, 3), RGB, in the inventory's order; read as a memory map
    <set>.csv   photo, x0, y0, x1, y1, tilt, score, found
    <set>_context.npy   int8 (N, 144): what lies around the face, see `portrait18.cropping.context`

`found` says where the box came from: `mtcnn`, `retry` (lower thresholds), `person` (the median box of
the person's other photos), `median` (that of the whole set), `center` (the photo's middle square,
if the params ask for it) or `none` (the photo can't be decoded: a grey crop keeps its row).
"""

import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from portrait18.core import processes
from portrait18.core.errors import UserError
from portrait18.core.files import write_bytes
from portrait18.core.params import CropParams
from portrait18.cropping import context, faces, reuse
from portrait18.cropping.faces import Face
from portrait18.dataset import photos
from portrait18.dataset.classes import MASK
from portrait18.dataset.tables import write_csv

FOUND = ("mtcnn", "retry", "person", "median", "center", "none")
#: Photos between two entries of the journal, fewer where they are large. A kill costs each process as many at most,
#: and what its threads have begun of the next ones.
CHUNK = 256
CHUNK_PIXELS = 64_000_000  # parts of two chunks lie decoded in memory, 3 bytes a pixel
COLUMNS = ["photo", "x0", "y0", "x1", "y1", "tilt", "score", "found"]


def _read_photo(path: Path, good: bool) -> np.ndarray | None:
    if not good:
        return None
    try:
        return photos.read(path, max_pixels=2**40)  # the inventory has checked the size
    except photos.PhotoError as error:
        raise UserError(
            f"{path} {error}; it was well when the photos were listed, run dvc repro check"
        ) from None


def _paths(inventory: pd.DataFrame) -> list[Path]:
    return [
        Path(folder, name) for folder, name in zip(inventory.images, inventory.photo, strict=True)
    ]


@contextmanager
def _pool(threads: int, **how) -> Iterator[ThreadPoolExecutor]:
    """So many threads; when it ends, or fails, what they have not begun is dropped."""
    pool, usual = ThreadPoolExecutor(threads, **how), torch.get_num_threads()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(
            usual
        )  # one that set it for itself also set what threads begin with from now on


def _looked_at(
    inventory: pd.DataFrame, chunks: Sequence[list[int]], params: CropParams, device: torch.device
) -> Iterator[tuple[dict[int, list], dict[int, np.ndarray]]]:
    """What is to be kept of each chunk, see `reuse.Work`; the next one is in work meanwhile.

    Each thread takes a batch of photos all the way: decodes them, finds their faces, cuts. On a CPU that keeps the
    cores busier than PyTorch's own threads, which share one layer of one batch, so each calls it with one. A GPU
    looks at one batch at a time, for the sake of its memory; there the other threads decode and cut.
    """
    paths, good = _paths(inventory), (inventory.width > 0).tolist()
    detector = faces.Detector(params.min_face, device)
    if device.type == "cpu":
        threads, turn, how = (
            torch.get_num_threads(),
            nullcontext(),
            {"initializer": partial(torch.set_num_threads, 1)},
        )
        size = -(-params.batch_size // threads)
    else:
        threads, turn, how, size = os.cpu_count() or 1, Lock(), {}, params.batch_size

    def look(batch: list[int]) -> list[tuple]:
        decoded = [_read_photo(paths[i], good[i]) for i in batch]
        with turn:
            found = _find(decoded, params, detector)
        return [
            (i, *_cut(photo, *each, params))
            for i, photo, each in zip(batch, decoded, found, strict=True)
        ]

    begun: deque[list[Future]] = deque()
    rest = iter(chunks)
    with _pool(threads, **how) as pool:
        while True:
            # Enough of the next chunks that no thread waits for the last photos of this one.
            while sum(map(len, islice(begun, 1, None))) < threads and (chunk := next(rest, None)):
                begun.append(
                    [pool.submit(look, chunk[at : at + size]) for at in range(0, len(chunk), size)]
                )
            if not begun:
                return
            looked = [each for batch in begun.popleft() for each in batch.result()]
            yield (
                {i: row for i, row, _ in looked},
                {i: crop for i, _, crop in looked if crop is not None},
            )


def _cut(
    photo: np.ndarray | None, face: Face | None, how: str, params: CropParams
) -> tuple[list, np.ndarray | None]:
    """A photo's row, see `reuse.Work`, and its crop if a face was found."""
    row = [how, *(face or (0.0,) * 6), _context(photo, face)]
    return row, faces.cut(photo, face, how, params) if face else None


def _bounds(inventory: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """(start, stop) of each chunk: `CHUNK` photos, or as many as have `CHUNK_PIXELS` together, at least one."""
    start, pixels = 0, 0
    for i, area in enumerate(inventory.width * inventory.height):
        if i > start and (i - start == CHUNK or pixels + area > CHUNK_PIXELS):
            yield start, i
            start, pixels = i, 0
        pixels += area
    if start < len(inventory):
        yield start, len(inventory)


def _find(
    decoded: list, params: CropParams, detector: faces.Detector
) -> list[tuple[Face | None, str]]:
    """The chosen face of each decoded photo and how it was found."""
    if params.method == "center":
        return [
            (None, "none") if photo is None else (faces.center(photo), "center")
            for photo in decoded
        ]
    found = faces.find(detector, decoded, params.batch_size)
    return [
        (faces.choose(candidates, photo.shape[1], photo.shape[0]) if candidates else None, how)
        for photo, (candidates, how) in zip(decoded, found, strict=True)
    ]


def build(
    inventory: pd.DataFrame,
    folder: Path,
    name: str,
    params: CropParams,
    work: Path,
    device: torch.device,
    code: str = "",
) -> pd.DataFrame | None:
    """Crop every photo of the inventory and write the store.

    Args:
        inventory: images (folder), photo (file in it), width, height (0: can't be decoded), digest; `folder`
            where persons are known.
        folder, name: where the store goes, and the set's name; see this module's head.
        work: folder for what the next run need not do again, see `portrait18.cropping.reuse`.

    Returns:
        The CSV's table; None to other processes than the first, which keeps what all of them crop. Memory does
        not grow with the number of photos.
    """
    done = (
        reuse.Work(work, inventory, params, device, code) if processes.is_main_process() else None
    )
    todo = processes.broadcast(done and _left(done, inventory))
    chunks = [todo[start:stop] for start, stop in _bounds(inventory.iloc[todo])]
    looked_at = _looked_at(inventory, processes.shard(chunks), params, device)
    hidden = None if done else True
    with (
        closing(looked_at),
        tqdm(
            total=len(inventory),
            initial=len(inventory) - len(todo),
            desc="crop",
            unit="photo",
            disable=hidden,
        ) as bar,
    ):
        for turn in processes.gather_in_order(looked_at, len(chunks)):
            for rows, pixels in turn:
                done.add(rows, pixels)
                bar.update(len(rows))
    return _write(done, inventory, folder, name, params) if done else None


def _left(done: reuse.Work, inventory: pd.DataFrame) -> list[int]:
    """The photos that have to be cropped, as against those that earlier runs have."""
    if done.rows:
        print(f"going on from photo {len(done.rows)} of {len(inventory)}", flush=True)
    if same := done.take_over():
        print(
            f"{same} of {len(inventory)} photos are as in the last run: their crops are taken over",
            flush=True,
        )
    return [i for i in range(len(inventory)) if i not in done.rows]


def _write(
    done: reuse.Work, inventory: pd.DataFrame, folder: Path, name: str, params: CropParams
) -> pd.DataFrame:
    rows = [done.rows[i] for i in range(len(inventory))]
    rows = _fill(rows, inventory, done.pixels, params)
    table = inventory[["photo"]].assign(
        **{c: [r[i] for r in rows] for i, c in enumerate(["found", *Face._fields])}
    )
    table = table[COLUMNS]
    write_csv(table, folder / f"{name}.csv")
    around = io.BytesIO()
    np.save(
        around,
        np.frombuffer(bytes.fromhex("".join(row[-1] for row in rows)), np.int8).reshape(
            len(rows), -1
        ),
    )
    write_bytes(around.getbuffer(), folder / f"{name}_context.npy")
    done.finish(folder / f"{name}.npy")
    return table


def _context(photo: np.ndarray | None, face: Face | None) -> str:
    """The descriptor's bytes in hexadecimal: in memory and in the journal a quarter of what a list of numbers takes."""
    if photo is None or face is None:
        return bytes(context.NUMBERS).hex()
    return context.descriptor(photo, face[:4]).tobytes().hex()


def _fill(rows: list, inventory: pd.DataFrame, pixels: np.ndarray, params: CropParams) -> list:
    """Give the photos without a found face the person's median box, else the set's; boxes scale with the photo."""
    sizes, paths = inventory[["width", "height"]].to_numpy(float), _paths(inventory)
    owner = inventory.folder.tolist() if "folder" in inventory else [None] * len(rows)
    by_owner: dict = {}
    for i, (how, *face, _) in enumerate(rows):
        if how in ("mtcnn", "retry"):
            w, h = sizes[i]
            share = Face(face[0] / w, face[1] / h, face[2] / w, face[3] / h, 0.0, 0.0)
            by_owner.setdefault(owner[i], []).append(share)
    everyone = [share for shares in by_owner.values() for share in shares] or [
        Face(0.25, 0.25, 0.75, 0.75, 0.0, 0.0)
    ]
    of_set = np.median(everyone, axis=0)

    def fill(i: int) -> list:
        if rows[i][0] == "none":
            pixels[i] = 127  # grey: the middle of what the networks are fed
            return rows[i]
        own = by_owner.get(owner[i]) if owner[i] is not None else None
        share = np.median(own, axis=0) if own else of_set
        w, h = sizes[i]
        face = Face(
            *(round(float(v * s), 2) for v, s in zip(share[:4], (w, h, w, h), strict=True)),
            0.0,
            0.0,
        )
        photo = _read_photo(paths[i], good=True)
        how = "person" if own else "median"
        pixels[i] = faces.cut(photo, face, how, params)
        return [how, *face, _context(photo, face)]

    missing = [i for i, (how, *_) in enumerate(rows) if how in ("", "none")]
    with _pool(torch.get_num_threads()) as pool:
        filled = dict(zip(missing, pool.map(fill, missing), strict=True))
    return [filled.get(i, row) for i, row in enumerate(rows)]


def summary(table: pd.DataFrame, inventory: pd.DataFrame) -> dict:
    """Detection rate (a face found on the photo itself), by mask state where it is known, and counts by `found`."""
    detected = table.found.isin(["mtcnn", "retry"])
    result: dict = {"photos": len(table), "detection_rate": round(float(detected.mean()), 4)}
    if "mask" in inventory:
        rates = detected.groupby(inventory["mask"].to_numpy()).mean().round(4)
        result["detection_rate_by_mask"] = {
            MASK.classes[state]: float(rate) for state, rate in rates.items()
        }
    return {**result, "found": {how: int((table.found == how).sum()) for how in FOUND}}


def examples(table: pd.DataFrame, count: int) -> dict[int, str]:
    """Rows spread evenly over the set, with how each was found: what a contact sheet shows."""
    rows = np.unique(np.linspace(0, len(table) - 1, count).astype(int))
    return {int(i): table.found[i] for i in rows}


def fallbacks(table: pd.DataFrame, count: int) -> dict[int, str]:
    """The first rows of each other way than `mtcnn`, the blindest guesses first."""
    rare = table[table.found != "mtcnn"]
    order = (
        rare.found.map({how: -i for i, how in enumerate(FOUND)})
        .sort_values(kind="stable")
        .index[:count]
    )
    return {int(i): table.found[i] for i in order}
