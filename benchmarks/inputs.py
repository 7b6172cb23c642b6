"""Photos, crops, labels and models to measure with, made by the library, kept in the run's folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.rows import Bench
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.cropping import builder
from portrait18.dataset import inventory, labels
from portrait18.dataset.tables import write_csv
from portrait18.models import backbones, inference
from portrait18.models.targets import make_target


def require(data: Path) -> None:
    """`UserError` unless there are people to train on."""
    if not (data / "train/train.csv").exists() or not (data / "train/images").is_dir():
        raise UserError(
            f"{data} is no data set: {data}/train needs train.csv and images/; name another one: --data FOLDER"
        )


def photos(bench: Bench, count: int) -> Path:
    """An inventory of so many photos to train on, as the check stage writes it; CSV.

    Whole people, in the order of their names; where the set has fewer photos, they come again.
    """
    path = bench.folder / f"photos-{count}.csv"
    if not path.exists():
        table, _ = inventory.list_train(bench.data)
        if table.empty:
            raise UserError(
                f"{bench.data}/train/images: no photo is sound; name another data set: --data FOLDER"
            )
        table = table.iloc[: min(count, len(table))]
        table, bad = inventory.probe(
            table, (bench.data / "train/images").resolve(), bench.params.check.max_pixels
        )
        if bad:
            raise UserError(bad)
        write_csv(_again(table.assign(extra=0), count), path)
    return path


def _again(table: pd.DataFrame, count: int) -> pd.DataFrame:
    return table.iloc[np.arange(count) % len(table)].reset_index(drop=True)


def paths(listed: Path) -> list[str]:
    """Of the photos of an inventory."""
    table = pd.read_csv(listed)
    return [f"{folder}/{name}" for folder, name in zip(table.images, table.photo, strict=True)]


def store(bench: Bench, count: int) -> Path:
    """Folder of crops (`train.npy`, `train.csv`) and `labels.csv` of so many photos.

    Middle squares instead of faces: what is measured with them does not look at what they show.
    """
    folder = bench.folder / f"store-{count}"
    if not (folder / "labels.csv").exists():
        table = pd.read_csv(photos(bench, count), dtype={"person": str, "digest": str})
        center = bench.params.crop.model_copy(update={"method": "center"})
        cpu = torch.device("cpu")
        builder.build(builder.CropJob(table, folder, "train", center, folder / "work", cpu))
        write_csv(labels.make(table, [], bench.params.label)[0], folder / "labels.csv")
    return folder


def model(bench: Bench, name: str) -> ModelParams:
    """The params of a model, without pretrained weights: they change no time, and may need a network."""
    return bench.params.model(name).model_copy(
        update={"weights": "none", "num_workers": bench.workers}
    )


def models(bench: Bench, folds: int) -> list[str]:
    """Files of an ensemble: the models of `matrix.models` that answer by classes, each `folds` times; untrained."""
    found = []
    for name in bench.params.matrix.models:
        params = model(bench, name)
        path = bench.folder / f"{name}.safetensors"
        if params.target.name != "classes":
            continue
        if not path.exists():
            torch.manual_seed(0)
            network = backbones.create(params, make_target(params).widths)
            inference.save(path, network, params, bench.params.crop)
        found += [str(path)] * folds
    if not found:
        raise UserError(
            "params.yaml: matrix.models names no model with target: classes; the benchmark needs one"
        )
    return found
