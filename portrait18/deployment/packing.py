"""Write a bundle: trained networks, the fitted ensemble, and where both come from."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from portrait18.core import extras
from portrait18.core.data_params import CropParams
from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write, file_digest, write_json
from portrait18.core.params import ExportParams, PredictParams
from portrait18.core.runs import Run
from portrait18.cropping.summary import UPRIGHT
from portrait18.dataset.classes import CLASS_NAMES, TASKS
from portrait18.deployment import onnx_export
from portrait18.deployment.bundle import MANIFEST, Manifest, NetworkEntry, TrainingSet
from portrait18.models import inference
from portrait18.models.inference import Model

#: Box of a portrait's face, used if no training photo has a face.
DEFAULT_BOX = (0.25, 0.25, 0.75, 0.75)


@dataclass(frozen=True)
class BundleInputs:
    """What a bundle is written from.

    Attributes:
        runs: the trainings whose networks go in.
        ensemble: fitted ensemble; see `portrait18.evaluation.ensemble_config.to_json`.
        median_box: see `median_box`.
        training_set: what the networks were trained on.
        predict: the `predict` section.
        export: the `export` section.
        params: further sections of params.yaml, kept for reference.
        metrics: metrics on validation people, kept for reference.
        sources: files whose hashes are kept.
    """

    runs: list[Run]
    ensemble: dict[str, Any]
    median_box: tuple[float, ...]
    training_set: TrainingSet
    predict: PredictParams
    export: ExportParams
    params: dict[str, Any]
    metrics: dict[str, Any]
    sources: list[Path]


def median_box(table: pd.DataFrame, inventory: pd.DataFrame) -> tuple[float, ...]:
    """Return the median x0, y0, x1, y1 of the found faces, as fractions of the photo's size.

    Args:
        table: table of the crop store.
        inventory: width and height of the same photos.
    """
    found = table.found.isin(UPRIGHT).to_numpy()
    if not found.any():
        return DEFAULT_BOX
    sizes = inventory[["width", "height", "width", "height"]].to_numpy(float)
    boxes = (table[["x0", "y0", "x1", "y1"]].to_numpy() / sizes)[found]
    return tuple(np.median(boxes, axis=0).round(4).tolist())


def pack(folder: Path, inputs: BundleInputs) -> Manifest:
    """Write the bundle and return its manifest.

    bundle.json is written last: a folder without it is no bundle.

    Args:
        folder: emptied first.
        inputs: what goes in.

    Raises:
        UserError: the networks were trained on different crops, or the packages for the export as
            ONNX are missing.
    """
    if inputs.export.onnx:
        extras.require("onnx", "export.onnx: true")
    shutil.rmtree(folder, ignore_errors=True)
    networks: list[NetworkEntry] = []
    crops: dict[Run, CropParams] = {}
    train: dict[str, Any] = {}
    extractors: dict = {}
    for run in inputs.runs:
        # On the CPU wherever it was trained, so that every machine writes the same bytes.
        model = inference.load(run.weights, torch.device("cpu"), extractors)
        networks.append(_write_network(folder, run, model, inputs))
        crops[run] = model.crop
        train[run.name] = model.params.model_dump(exclude={"num_workers"})
    crop = _common_crop(crops)
    params = {"crop": crop.model_dump(), **inputs.params, "train": train}
    manifest = Manifest(
        format=3,
        classes={**{task.name: list(task.classes) for task in TASKS.values()}, "all": CLASS_NAMES},
        crop=crop,
        median_box=inputs.median_box,
        training_set=inputs.training_set,
        predict=inputs.predict,
        networks=networks,
        ensemble=inputs.ensemble,
        metrics=inputs.metrics,
        params=params,
        inputs={
            **{str(path): file_digest(path) for path in inputs.sources},
            "params": _digest(params),
        },
        versions={"torch": torch.__version__, "timm": version("timm")},
    )
    write_json(manifest.model_dump(mode="json"), folder / MANIFEST)
    return manifest


def _write_network(folder: Path, run: Run, model: Model, inputs: BundleInputs) -> NetworkEntry:
    name = f"{run.name}-{run.fold}-{run.seed}"
    file, onnx = f"{name}.safetensors", f"{name}.onnx" if inputs.export.onnx else None
    with atomic_write(folder / file) as tmp_path:
        shutil.copyfile(run.weights, tmp_path)
    if onnx:
        onnx_export.write(model, model.flips(inputs.predict), folder / onnx)
    return NetworkEntry(
        model=run.name,
        file=file,
        sha256=file_digest(folder / file),
        onnx=onnx,
        task=model.params.task,
        image_size=model.params.image_size,
    )


def _common_crop(crops: dict[Run, CropParams]) -> CropParams:
    (first, crop), *others = crops.items()
    for run, other in others:
        if other != crop:
            raise UserError(
                f"models {first} and {run} were trained on crops of different params; run dvc repro"
            )
    return crop


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
