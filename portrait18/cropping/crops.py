"""The crop store: one uint8 array for each set of photos, a CSV that says how each crop was found, and more.

    <set>.npy   uint8 (N, size, size, 3), RGB, in the inventory's order; read as a memory map
    <set>.csv   photo, x0, y0, x1, y1, tilt, score, found
    <set>_around.npy   int8 (N, 144): what lies around the face, see `portrait18.cropping.surroundings`

`found` says where the box came from: `mtcnn`, `retry` (lower thresholds), `person` (the median box of
the person's other photos), `median` (that of the whole set), `centre` (the photo's middle square,
if the params ask for it) or `none` (the photo can't be decoded: a grey crop keeps its row).
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from portrait18 import processes
from portrait18.classes import MASK
from portrait18.cropping import faces, reuse, surroundings
from portrait18.cropping.faces import Face
from portrait18.data import photos
from portrait18.errors import UserError
from portrait18.files import write_bytes, write_csv
from portrait18.params import CropParams

FOUND = ("mtcnn", "retry", "person", "median", "centre", "none")
CHUNK = 256  # photos between two entries of the journal: what a kill can cost each process; fewer where they are large:
CHUNK_PIXELS = 64_000_000  # two chunks lie decoded in memory at once, 3 bytes a pixel
COLUMNS = ["photo", "x0", "y0", "x1", "y1", "tilt", "score", "found"]


def _read_photo(path: Path, good: bool) -> np.ndarray | None:
    if not good:
        return None
    try:
        return photos.read(path, max_pixels=2**40)  # the inventory has checked the size
    except photos.BadPhoto as error:
        raise UserError(f"{path} {error}; it was well when the photos were listed, run dvc repro check") from None


def _paths(inventory: pd.DataFrame) -> list[Path]:
    return [Path(folder, name) for folder, name in zip(inventory.images, inventory.photo, strict=True)]


@contextmanager
def _pool(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """Threads that decode and cut, and on a CPU find faces too: photo by photo they keep more cores busy than PyTorch's own.

    There are as many as PyTorch has; each of them calls it with one.
    """
    threads = torch.get_num_threads()
    how = {"max_workers": threads, "initializer": torch.set_num_threads, "initargs": (1,)}
    try:
        with ThreadPoolExecutor(**how if device.type == "cpu" else {}) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # what threads that start later would begin with


def _looked_at(
    inventory: pd.DataFrame, chunks: Sequence[list[int]], params: CropParams, detector: faces.Detector, pool
) -> Iterator[tuple[list[int], list, Iterator]]:
    """(rows, their decoded photos, lists of their chosen faces) of each chunk; meanwhile the next one is decoded."""
    paths = _paths(inventory)
    good = (inventory.width > 0).tolist()
    on_cpu = detector.device.type == "cpu"
    find = partial(_find, params=params, detector=detector)

    def submit(chunk):
        return [pool.submit(_read_photo, paths[i], good[i]) for i in chunk]

    ahead = submit(chunks[0]) if chunks else []
    for n, chunk in enumerate(chunks):
        decoded = [future.result() for future in ahead]
        size = params.batch_size if on_cpu else len(chunk)
        batches = [decoded[at : at + size] for at in range(0, len(chunk), size)]
        # The pool begins at once, before it decodes more; a GPU is asked by this thread alone, when the faces are.
        chosen = (pool.map if on_cpu else map)(find, batches)
        ahead = submit(chunks[n + 1]) if n + 1 < len(chunks) else []
        yield chunk, decoded, chosen


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


def _find(decoded: list, params: CropParams, detector: faces.Detector) -> list[tuple[Face | None, str]]:
    """The chosen face of each decoded photo and how it was found."""
    if params.method == "centre":
        return [(None, "none") if photo is None else (faces.centre(photo), "centre") for photo in decoded]
    found = faces.find(detector, decoded, params.batch_size)
    return [
        (faces.choose(candidates, photo.shape[1], photo.shape[0]) if candidates else None, how)
        for photo, (candidates, how) in zip(decoded, found, strict=True)
    ]


def _cropped(
    params: CropParams, pool: ThreadPoolExecutor, looked_at: tuple[list[int], list, Iterator]
) -> tuple[dict[int, list], dict[int, np.ndarray]]:
    """What is to be kept of a chunk: see `reuse.Work`."""
    chunk, decoded, chosen = looked_at
    found = [each for batch in chosen for each in batch]
    cut = list(pool.map(partial(_cut, params), decoded, found))
    rows = {
        i: [how, *(face or (0.0,) * 6), around] for i, (face, how), (_, around) in zip(chunk, found, cut, strict=True)
    }
    return rows, {i: crop for i, (crop, _) in zip(chunk, cut, strict=True) if crop is not None}


def _cut(
    params: CropParams, photo: np.ndarray | None, found: tuple[Face | None, str]
) -> tuple[np.ndarray | None, list[int]]:
    """A photo's crop, if a face was found, and what lies around it."""
    face, how = found
    return faces.cut(photo, face, how, params) if face else None, _around(photo, face)


def build(
    inventory: pd.DataFrame, folder: Path, name: str, params: CropParams, work: Path, device: torch.device
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
    done = reuse.Work(work, inventory, params, device) if processes.first() else None
    todo = processes.from_first(done and _left(done, inventory))
    chunks = [todo[start:stop] for start, stop in _bounds(inventory.iloc[todo])]
    detector = faces.Detector(params.min_face, device)
    hidden = None if done else True
    with (
        _pool(device) as pool,
        tqdm(
            total=len(inventory), initial=len(inventory) - len(todo), desc="crop", unit="photo", disable=hidden
        ) as bar,
    ):
        mine = _looked_at(inventory, processes.turns(chunks), params, detector, pool)
        for turn in processes.in_turns(partial(_cropped, params, pool), mine, len(chunks)):
            for rows, pixels in turn:
                done.add(rows, pixels)
                bar.update(len(rows))
    return _write(done, inventory, folder, name, params) if done else None


def _left(done: reuse.Work, inventory: pd.DataFrame) -> list[int]:
    """The photos that have to be cropped, as against those that earlier runs have."""
    if done.rows:
        print(f"going on from photo {len(done.rows)} of {len(inventory)}", flush=True)
    if same := done.take_over():
        print(f"{same} of {len(inventory)} photos are as in the last run: their crops are taken over", flush=True)
    return [i for i in range(len(inventory)) if i not in done.rows]


def _write(done: reuse.Work, inventory: pd.DataFrame, folder: Path, name: str, params: CropParams) -> pd.DataFrame:
    rows = [done.rows[i] for i in range(len(inventory))]
    rows = _fill(rows, inventory, done.pixels, params)
    table = inventory[["photo"]].assign(**{c: [r[i] for r in rows] for i, c in enumerate(["found", *Face._fields])})
    table = table[COLUMNS]
    write_csv(table, folder / f"{name}.csv")
    around = io.BytesIO()
    np.save(around, np.array([row[-1] for row in rows], np.int8))
    write_bytes(around.getbuffer(), folder / f"{name}_around.npy")
    done.finish(folder / f"{name}.npy")
    return table


def _around(photo: np.ndarray | None, face: Face | None) -> list[int]:
    if photo is None or face is None:
        return [0] * surroundings.NUMBERS
    return surroundings.descriptor(photo, face[:4]).tolist()


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
    everyone = [share for shares in by_owner.values() for share in shares] or [Face(0.25, 0.25, 0.75, 0.75, 0.0, 0.0)]
    of_set = np.median(everyone, axis=0)
    rows = list(rows)
    for i, (how, *_) in enumerate(rows):
        if how == "none":
            pixels[i] = 127  # grey: the middle of what the networks are fed
        elif how == "":
            own = by_owner.get(owner[i]) if owner[i] is not None else None
            share = np.median(own, axis=0) if own else of_set
            w, h = sizes[i]
            face = Face(*(round(float(v * s), 2) for v, s in zip(share[:4], (w, h, w, h), strict=True)), 0.0, 0.0)
            photo = _read_photo(paths[i], good=True)
            rows[i] = ["person" if own else "median", *face, _around(photo, face)]
            pixels[i] = faces.cut(photo, face, rows[i][0], params)
    return rows


def summary(table: pd.DataFrame, inventory: pd.DataFrame) -> dict:
    """Detection rate (a face found on the photo itself), by mask state where it is known, and counts by `found`."""
    detected = table.found.isin(["mtcnn", "retry"])
    result: dict = {"photos": len(table), "detection_rate": round(float(detected.mean()), 4)}
    if "mask" in inventory:
        rates = detected.groupby(inventory["mask"].to_numpy()).mean().round(4)
        result["detection_rate_by_mask"] = {MASK.classes[state]: float(rate) for state, rate in rates.items()}
    return {**result, "found": {how: int((table.found == how).sum()) for how in FOUND}}


def examples(table: pd.DataFrame, count: int) -> dict[int, str]:
    """Rows spread evenly over the set, with how each was found: what a contact sheet shows."""
    rows = np.unique(np.linspace(0, len(table) - 1, count).astype(int))
    return {int(i): table.found[i] for i in rows}


def fallbacks(table: pd.DataFrame, count: int) -> dict[int, str]:
    """The first rows of each other way than `mtcnn`, the blindest guesses first."""
    rare = table[table.found != "mtcnn"]
    order = rare.found.map({how: -i for i, how in enumerate(FOUND)}).sort_values(kind="stable").index[:count]
    return {int(i): table.found[i] for i in order}
