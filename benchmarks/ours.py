"""This library's sides, called as the stages call it.

Each function prepares its work and returns the function to measure.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import baseline
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.cropping import builder, faces
from portrait18.cropping.summary import DETECTED
from portrait18.dataset import crop_store, tables
from portrait18.dataset import photos as reader
from portrait18.models import inference
from portrait18.training.data import TrainingData
from portrait18.training.trainer import Trainer

Measured = Callable[..., dict]


def _crop(inventory: pd.DataFrame, folder: Path) -> pd.DataFrame:
    crop = baseline.load().crop
    return builder.build(builder.CropJob(inventory, folder, "set", crop, folder / "work", device()))


def crop(inventory: str, folder: str) -> Measured:
    """Crop photo files into a crop store, like the crop stage."""
    tune_malloc()
    set_deterministic()
    photos = tables.read(inventory)

    def run() -> dict:
        with TemporaryDirectory(dir=folder) as out:
            table = _crop(photos, Path(out))
        return {"photos": len(table), "faces": int(table.found.isin(DETECTED).sum())}

    return run


def decode(paths: list[str]) -> Measured:
    """Decode photo files only, with the crop stage's decoder, threads and memory settings."""
    tune_malloc()

    def run() -> dict:
        with ThreadPoolExecutor() as pool:
            return {"photos": sum(1 for _ in pool.map(reader.read, paths))}

    return run


def detect(paths: list[str], min_face: float, batch_size: int) -> Measured:
    """Detect all faces at the default thresholds, in photos that are already decoded."""
    tune_malloc()
    set_deterministic()
    detector = faces.Detector(min_face, device())
    batches = equal_batches([reader.read(path) for path in paths], batch_size)

    def run() -> dict:
        found = [photo_faces for batch in batches for photo_faces in detector(batch, "mtcnn")]
        boxes = [[list(face[:4]) for face in photo_faces] for photo_faces in found]
        return {"photos": len(found), "boxes": boxes}

    return run


def equal_batches(photos: list[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Return stacks of at most `batch_size` photos of one size, in the order of the sizes."""
    by_size: dict[tuple, list] = {}
    for photo in photos:
        by_size.setdefault(photo.shape, []).append(photo)
    return [
        np.stack(group[start : start + batch_size])
        for group in by_size.values()
        for start in range(0, len(group), batch_size)
    ]


def make_trainer(folder: str, model: str, run: str) -> Trainer:
    """Return a trainer on all photos of a crop store.

    Args:
        folder: Folder of `inputs.store`.
        model: Params of the model, JSON.
        run: Name of the run.
    """
    tune_malloc()
    set_deterministic()
    pixels, _ = crop_store.load(Path(folder), "train")
    labels = tables.read(Path(folder, "labels.csv"))
    no_fold = np.full(len(labels), -1)
    data = TrainingData(pixels, labels.assign(train=1), no_fold)
    return Trainer(data, ModelParams.model_validate(json.loads(model)), Run(run, 0, 0))


def train_input(folder: str, model: str) -> Measured:
    """Prepare the batches of a training without using them."""
    trainer = make_trainer(folder, model, "input")

    def run() -> dict:
        return {"photos": sum(len(rows) for _, rows in trainer.loader(0)[0])}

    return run


def train_loop(folder: str, model: str) -> Measured:
    """Train one epoch with the default loop; see `epochs`."""
    return epochs(make_trainer(folder, model, "loop"))


def epochs(trainer: Trainer) -> Measured:
    """Return a function that trains one epoch.

    With `repeated` it trains on the epoch's first batch again and again.
    """
    default_loader = trainer.loader
    batches, size = default_loader(0)
    count, first = len(batches), next(iter(batches))

    def run(repeated: bool = False) -> dict:
        trainer.loader = (lambda epoch: ([first] * count, size)) if repeated else default_loader
        trainer.train_epoch(0)
        return {"photos": count * size}  # all batches have this size: an incomplete one is dropped

    return run


def _predict(pixels: np.ndarray, models: list[str]) -> dict:
    options = baseline.load().predict.model_copy(update={"tta_scales": [1.0]})
    rows = np.arange(len(pixels))
    for path in models:
        inference.load(Path(path), device()).predict(pixels, rows, options)
    return {"photos": len(pixels), "networks": len(models)}


def predict(inventory: str, models: list[str], folder: str) -> Measured:
    """Predict probabilities from photo files: crop once, then run every network."""
    tune_malloc()
    set_deterministic()
    photos = tables.read(inventory)

    def run() -> dict:
        with TemporaryDirectory(dir=folder) as out:
            _crop(photos, Path(out))
            return _predict(crop_store.load(Path(out), "set")[0], models)

    return run


def predict_stored(folder: str, models: list[str]) -> Measured:
    """Predict probabilities from stored crops, like the predict stage."""
    tune_malloc()
    set_deterministic()
    pixels, _ = crop_store.load(Path(folder), "train")

    def run() -> dict:
        return _predict(pixels, models)

    return run
