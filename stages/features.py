"""Compute the features of one frozen backbone for all crops of one set, in a few fixed views."""

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from portrait18.core import arithmetic, params, processes, runs
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.core.feature_params import View
from portrait18.core.files import atomic_write, check_writable, file_digest
from portrait18.core.journal import Journal
from portrait18.dataset import crop_store
from portrait18.models import frozen
from portrait18.models.extraction import Extractor
from stages._fingerprint import code_fingerprint

CROPS = Path("data/crops")


def main(backbone: str, split: str) -> None:
    tune_malloc()
    processes.init()
    set_deterministic()
    p = params.load()
    settings = p.features
    crops, _ = crop_store.load(CROPS, split)
    shown = settings.views if split == "train" else settings.views[: settings.test_views]
    out, work = runs.features(backbone, split), runs.features_work(backbone, split)
    if processes.is_main_process():
        check_writable(out)
        runs.remove_stale_progress(keep=[work, work.with_suffix(".bin")])
    source = settings.sources()[backbone]
    extractor = Extractor(backbone, source, settings.image_size, p.crop.margin, device())
    with oom_hint("features.batch_size or features.image_size"):
        file = _compute(extractor, crops, shown, settings.batch_size, work)
    if file is not None:
        width = file.stat().st_size // (len(crops) * len(shown) * np.float16().itemsize)
        shape = (len(crops), len(shown), width)
        _write(out, file, shape)
        frozen.write_description(out, extractor.backbone, shown, extractor.blocks)
        print(f"{backbone} {split}: {len(crops)} photos, {len(shown)} views, {width} features")


def _compute(
    extractor: Extractor, crops: np.ndarray, shown: list[View], batch_size: int, work: Path
) -> Path | None:
    """Return a file with the features of all crops one after the other; None in other processes.

    It is written batch by batch; the journal has a hash of each batch. A run that was killed
    leaves both.
    """
    title = f"{extractor.backbone.name} {work.stem.rpartition('-')[2]}"
    file, done, journal = work.with_suffix(".bin"), 0, None
    progress: Callable = iter
    if processes.is_main_process():
        journal = Journal(work, _inputs(extractor, shown, batch_size, work))
        done = _verify(file, journal)
        if done:
            photos = sum(count for count, *_ in journal.pieces)
            print(f"{title}: resuming from photo {photos} of {len(crops)}", flush=True)
        progress = partial(tqdm, desc=title, unit="batch", leave=False, disable=None)
    starts = range(0, len(crops), batch_size)[processes.broadcast(done) :]

    def extract(start: int) -> tuple[int, bytes]:
        features = extractor(np.array(crops[start : start + batch_size]), shown)
        return len(features), features.tobytes()

    results = map(extract, progress(processes.shard(starts)))
    for finished in processes.gather_in_order(results, len(starts)):
        for count, content in finished:
            assert journal is not None
            with open(file, "ab") as out:
                out.write(content)
            journal.add([count, len(content), _digest(content)])
    return None if journal is None else file


def _verify(file: Path, journal: Journal) -> int:
    """Cut the file after its last intact batch; return the number of batches that are left."""
    file.touch()
    intact, size = 0, 0
    with open(file, "r+b") as stored:
        for _, length, digest in journal.pieces:
            if _digest(stored.read(length)) != digest:
                break
            intact, size = intact + 1, size + length
        stored.truncate(size)
    journal.truncate(intact)
    return intact


def _digest(batch: bytes) -> str:
    return hashlib.blake2b(batch, digest_size=16).hexdigest()


def _write(out: Path, file: Path, shape: tuple[int, ...]) -> None:
    """Copy the features into a .npy file, without holding them in memory.

    Not by a memory map: on a full disk, writing to one kills the process without a message.
    """
    dtype = np.lib.format.dtype_to_descr(np.dtype(np.float16))
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    with atomic_write(out) as tmp_path, open(tmp_path, "wb") as npy, open(file, "rb") as values:
        np.lib.format.write_array_header_1_0(npy, header)
        shutil.copyfileobj(values, npy)


def _inputs(extractor: Extractor, shown: list[View], batch_size: int, work: Path) -> list:
    """Return everything that the features depend on; a journal of other inputs is discarded."""
    split = work.stem.rpartition("-")[2]
    return [
        *[torch.__version__, version("timm"), cv2.__version__, device().type],
        code_fingerprint("features"),
        arithmetic.description(),
        vars(extractor.backbone),
        [view.model_dump() for view in shown],
        batch_size,
        file_digest(CROPS / f"{split}.npy"),
    ]
