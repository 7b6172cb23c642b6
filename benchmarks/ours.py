"""The library's sides, called as the stages call it. Each prepares, and returns the function that is measured."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from portrait18.core import params
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.cropping import builder, faces
from portrait18.dataset import crop_store, tables
from portrait18.dataset import photos as reader
from portrait18.models import inference
from portrait18.training.data import TrainingData
from portrait18.training.trainer import Trainer

Measured = Callable[..., dict]


def _crop(inventory: pd.DataFrame, folder: Path) -> pd.DataFrame:
    crop = params.load().crop
    return builder.build(builder.CropJob(inventory, folder, "set", crop, folder / "work", device()))


def crop(inventory: str, folder: str) -> Measured:
    """Photo files to the crop store, as the crop stage."""
    tune_malloc()
    set_deterministic()
    listed = tables.read(inventory)

    def run() -> dict:
        with TemporaryDirectory(dir=folder) as out:
            table = _crop(listed, Path(out))
        return {"photos": len(table), "faces": int(table.found.isin(["mtcnn", "retry"]).sum())}

    return run


def decode(paths: list[str]) -> Measured:
    """Decode photo files and nothing more, with the decoder, the threads and the memory that the crop stage has."""
    tune_malloc()

    def run() -> dict:
        with ThreadPoolExecutor() as pool:
            return {"photos": sum(1 for _ in pool.map(reader.read, paths))}

    return run


def detect(paths: list[str], min_face: float, batch_size: int) -> Measured:
    """Boxes of all faces at the usual thresholds; the photos lie decoded in memory."""
    tune_malloc()
    set_deterministic()
    detector = faces.Detector(min_face, device())
    batches = equal_batches([reader.read(path) for path in paths], batch_size)

    def run() -> dict:
        found = [of_photo for batch in batches for of_photo in detector(batch)]
        return {
            "photos": len(found),
            "boxes": [[list(face[:4]) for face in of_photo] for of_photo in found],
        }

    return run


def equal_batches(photos: list[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Stacks of at most `batch_size` photos of one size, in the order in which the sizes come."""
    by_size: dict[tuple, list] = {}
    for photo in photos:
        by_size.setdefault(photo.shape, []).append(photo)
    return [
        np.stack(g[at : at + batch_size])
        for g in by_size.values()
        for at in range(0, len(g), batch_size)
    ]


def make_trainer(folder: str, model: str, run: str) -> Trainer:
    """A trainer of all photos in a store."""
    tune_malloc()
    set_deterministic()
    pixels, _ = crop_store.load(Path(folder), "train")
    labels = tables.read(Path(folder, "labels.csv"))
    data = TrainingData(pixels, labels.assign(train=1), np.full(len(labels), -1))
    return Trainer(data, ModelParams.model_validate(json.loads(model)), Run(run, 0, 0))


def train_input(folder: str, model: str) -> Measured:
    """The batches of a training, looked at by nobody."""
    trainer = make_trainer(folder, model, "input")

    def run() -> dict:
        return {"photos": sum(len(rows) for _, rows in trainer.loader(0)[0])}

    return run


def train_loop(folder: str, model: str) -> Measured:
    """What `epochs` measures, of a training as it is."""
    return epochs(make_trainer(folder, model, "loop"))


def epochs(trainer: Trainer) -> Measured:
    """An epoch of a training; `repeated`: the same one, fed with its first batch again and again."""
    usual = trainer.loader
    loader, size = usual(0)
    count, first = len(loader), next(iter(loader))

    def run(repeated: bool = False) -> dict:
        trainer.loader = (lambda epoch: ([first] * count, size)) if repeated else usual
        trainer.train_epoch(0)
        return {"photos": count * size}  # all batches are as large: what is left over is dropped

    return run


def _predict(pixels: np.ndarray, models: list[str]) -> dict:
    told = params.load().predict
    rows = np.arange(len(pixels))
    for path in models:
        trained = inference.load(Path(path), device())
        trained.predict(pixels, rows, told.model_copy(update={"tta_scales": [1.0]}))
    return {"photos": len(pixels), "networks": len(models)}


def predict(inventory: str, models: list[str], folder: str) -> Measured:
    """Photo files to the probabilities of each model: cropped once, then read by all."""
    tune_malloc()
    set_deterministic()
    listed = tables.read(inventory)

    def run() -> dict:
        with TemporaryDirectory(dir=folder) as out:
            _crop(listed, Path(out))
            return _predict(crop_store.load(Path(out), "set")[0], models)

    return run


def predict_stored(folder: str, models: list[str]) -> Measured:
    """The predict stage's part of that: crops to probabilities."""
    tune_malloc()
    set_deterministic()
    pixels, _ = crop_store.load(Path(folder), "train")

    def run() -> dict:
        return _predict(pixels, models)

    return run
