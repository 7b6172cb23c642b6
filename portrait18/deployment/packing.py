"""Writing a bundle: trained networks, what the ensemble chose, and where both come from. See `portrait18.deployment.bundle`."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch

from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write, file_digest, write_json
from portrait18.core.params import ExportParams, PredictParams
from portrait18.core.runs import Run
from portrait18.dataset.classes import CLASS_NAMES, TASKS
from portrait18.deployment import onnx_export
from portrait18.deployment.bundle import MANIFEST, Manifest, Network
from portrait18.models import inference

#: Of a portrait, where no photo's face was found.
NO_BOX = (0.25, 0.25, 0.75, 0.75)


def median_box(table: pd.DataFrame, inventory: pd.DataFrame) -> tuple[float, ...]:
    """Where faces lie: medians of x0, y0, x1, y1 as shares of the photo, over the photos on which one was found.

    Args:
        table: the crop store's.
        inventory: width and height of the same photos.
    """
    found = table.found.isin(["mtcnn", "retry"]).to_numpy()
    if not found.any():
        return NO_BOX
    sizes = inventory[["width", "height", "width", "height"]].to_numpy(float)
    return tuple(
        np.median((table[["x0", "y0", "x1", "y1"]].to_numpy() / sizes)[found], axis=0)
        .round(4)
        .tolist()
    )


def pack(
    folder: Path,
    runs: Iterable[Run],
    choice: dict[str, Any],
    box: tuple[float, ...],
    predict: PredictParams,
    export: ExportParams,
    params: dict[str, Any],
    metrics: dict[str, Any],
    sources: Iterable[Path],
) -> Manifest:
    """Write the bundle; bundle.json comes last: a folder without it is none.

    Args:
        folder: emptied first.
        runs: the trainings whose networks go in.
        choice: of `portrait18.evaluation.ensemble_config.to_json`.
        box: of `median_box`.
        params: sections of params.yaml that the networks were asked for by, to be kept.
        metrics: scores on held-out people, to be kept.
        sources: files whose hashes are to be kept.
    """
    shutil.rmtree(folder, ignore_errors=True)
    networks, crops, train = [], {}, {}
    for run in runs:
        # On the CPU, wherever it was trained: the same bytes from every machine.
        model = inference.load(run.weights, torch.device("cpu"))
        crops[str(run)], train[run.name] = model.crop, model.params.model_dump(exclude={"workers"})
        name = f"{run.name}-{run.fold}-{run.seed}"
        file, onnx = f"{name}.safetensors", f"{name}.onnx" if export.onnx else None
        with atomic_write(folder / file) as tmp_path:
            shutil.copyfile(run.weights, tmp_path)
        if onnx:
            onnx_export.write(model, predict.flip, folder / onnx)
        digest = file_digest(folder / file)
        networks.append(
            Network(
                model=run.name,
                file=file,
                sha256=digest,
                onnx=onnx,
                task=model.params.task,
                size=model.params.image_size,
            )
        )
    first, *others = crops
    for other in others:
        if crops[other] != crops[first]:
            raise UserError(
                f"models {first} and {other} were trained on crops that were cut in other ways; run dvc repro"
            )
    params = {"crop": crops[first].model_dump(), **params, "train": train}
    manifest = Manifest(
        format=1,
        classes={**{task.name: list(task.classes) for task in TASKS.values()}, "all": CLASS_NAMES},
        crop=crops[first],
        median_box=box,
        predict=predict.model_dump(),
        networks=networks,
        choice=choice,
        metrics=metrics,
        params=params,
        made_of={**{str(path): file_digest(path) for path in sources}, "params": _digest(params)},
        made_by={"torch": torch.__version__, "timm": timm.__version__},
    )
    write_json(manifest.model_dump(mode="json"), folder / MANIFEST)
    return manifest


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
