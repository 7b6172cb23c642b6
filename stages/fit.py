"""Train the heads of one frozen model on features, for all folds and seeds, and predict."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from portrait18.core import params, runs
from portrait18.core.files import check_writable
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.dataset import crop_store, splits, tables
from portrait18.dataset.tables import write_csv
from portrait18.models import frozen
from portrait18.models.targets import Target, make_target
from portrait18.training import frozen_fitting
from portrait18.training.curves import LearningCurves
from portrait18.training.data import TrainingData
from portrait18.training.frozen_fitting import FeatureLayout

CROPS = Path("data/crops")


class _Photos(NamedTuple):
    """Photos to predict.

    Attributes:
        features: float16 (N, V, F) of the V views that predictions average.
        names: column `photo` of their table, (N,).
    """

    features: np.ndarray
    names: np.ndarray


def main(name: str) -> None:
    p = params.load()
    model = p.model(name)
    members = runs.model_runs(p.matrix, name)
    for path in (members[0].weights, members[0].predictions, members[0].live):
        shutil.rmtree(path.parent, ignore_errors=True)  # other folds and seeds of earlier runs
        check_writable(path)
    tables_by_split = {split: tables.read(CROPS / f"{split}.csv") for split in ("train", "eval")}
    paths = {
        split: [runs.features(backbone, split) for backbone in model.backbone.split("+")]
        for split in tables_by_split
    }
    train, evaluation = (
        frozen.read_features(paths[split], len(table)) for split, table in tables_by_split.items()
    )
    frozen.validate_same(train, evaluation)
    layout = FeatureLayout(len(evaluation.source.views), evaluation.blocks)
    data = _training_data(train.values, tables_by_split["train"])
    eval_photos = _Photos(evaluation.values, tables_by_split["eval"].photo.to_numpy())
    for run in members:
        started = time.monotonic()
        rows: list[dict] = []
        head = frozen_fitting.fit(data, model, run, layout, rows.append)
        curves = LearningCurves(run.live)
        for row in rows:
            curves.log(row)
        frozen.save(run.weights, head, model, p.crop, evaluation.source)
        _write_predictions(run, model, head, data, eval_photos)
        best, method = max(row["macro_f1"] for row in rows), model.head.fit_method
        effort = f"fitted {method}" if method else f"{len(rows)} of {model.epochs} epochs"
        print(
            f"{run}: validation macro-F1 {best:.3f}, {effort} ({time.monotonic() - started:.1f} s)",
            flush=True,
        )


def _training_data(features: np.ndarray, table: pd.DataFrame) -> TrainingData:
    labels = tables.read("data/labels.csv")
    crop_store.validate_same_photos(table, labels)
    return TrainingData(features, labels, splits.photo_folds(labels, tables.read("data/folds.csv")))


def _write_predictions(
    run: Run,
    model: ModelParams,
    head: frozen.StandardizedHead,
    data: TrainingData,
    eval_photos: _Photos,
) -> None:
    """Write the class probabilities of the validation and evaluation photos."""
    target, rows = make_target(model), data.validation_rows(run.fold)
    shown = data.crops[rows][:, : eval_photos.features.shape[1]]
    validation_photos = _Photos(shown, data.labels.photo.to_numpy()[rows])
    parts = [
        _table("validation", head, target, validation_photos),
        _table("eval", head, target, eval_photos),
    ]
    write_csv(pd.concat(parts), run.predictions)


def _table(
    name: str, head: frozen.StandardizedHead, target: Target, photos: _Photos
) -> pd.DataFrame:
    probabilities, years = frozen.predict(head, target, photos.features)
    part = pd.DataFrame(probabilities, columns=target.task.columns)
    if years is not None:
        part["years"] = years
    part.insert(0, "photo", photos.names)
    part.insert(0, "set", name)
    return part
