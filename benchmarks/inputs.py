"""Photos, crops, labels and models to measure with, made with the library in the run's folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.rows import Bench
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.cropping import builder
from portrait18.dataset import inventory, labels, probing
from portrait18.dataset.tables import write_csv
from portrait18.models import backbones, inference
from portrait18.models.targets import make_target


def validate(data: Path) -> None:
    """Raise `UserError` unless the folder has training people."""
    if not (data / "train/train.csv").exists() or not (data / "train/images").is_dir():
        raise UserError(
            f"{data} is no data set: {data}/train needs train.csv and images/; "
            "choose another with --data FOLDER"
        )


def photos(bench: Bench, count: int) -> Path:
    """Return the CSV inventory of `count` training photos, as the check stage writes it.

    Takes the photos in the order of their people's names. If the data set has fewer, they repeat.
    """
    path = bench.folder / f"photos-{count}.csv"
    if not path.exists():
        table, _ = inventory.list_train(bench.data)
        if table.empty:
            raise UserError(
                f"{bench.data}/train/images has no valid photo; choose another data set with "
                "--data FOLDER"
            )
        table = table.iloc[: min(count, len(table))]
        table, bad, _ = probing.probe(
            table, (bench.data / "train/images").resolve(), bench.params.check.max_pixels
        )
        if bad:
            raise UserError(bad)
        write_csv(_repeat(table.assign(extra=0), count), path)
    return path


def _repeat(table: pd.DataFrame, count: int) -> pd.DataFrame:
    return table.iloc[np.arange(count) % len(table)].reset_index(drop=True)


def paths(inventory_file: Path) -> list[str]:
    """Return the paths of an inventory's photos."""
    table = pd.read_csv(inventory_file)
    return [f"{folder}/{name}" for folder, name in zip(table.images, table.photo, strict=True)]


def store(bench: Bench, count: int) -> Path:
    """Return a folder with `train.npy`, `train.csv` (crops) and `labels.csv` of `count` photos.

    The crops are center squares instead of faces, because the rows that use them do not depend on
    their content.
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
    """Return a model's params without pretrained weights, which do not affect the time."""
    update = {"weights": "none", "num_workers": bench.num_workers}
    return bench.params.model(name).model_copy(update=update)


def ensemble(bench: Bench) -> dict[str, ModelParams]:
    """Return the models of `matrix.models` that predict classes, by name."""
    found = {name: model(bench, name) for name in bench.params.matrix.models}
    found = {name: params for name, params in found.items() if params.target.name == "classes"}
    if not found:
        raise UserError(
            "params.yaml: matrix.models has no model with target: classes; the benchmark needs one"
        )
    return found


def models(bench: Bench, folds: int) -> list[str]:
    """Return the files of untrained networks: each model of `ensemble`, `folds` times."""
    files = []
    for name, params in ensemble(bench).items():
        path = bench.folder / f"{name}.safetensors"
        if not path.exists():
            torch.manual_seed(0)
            crop = bench.params.crop
            network = backbones.create(params, make_target(params).widths, crop.margin)
            inference.save(path, network, params, crop)
        files += [str(path)] * folds
    return files
