"""Train the heads of one frozen model on features, for all folds and seeds, and predict."""

import shutil
import time
from pathlib import Path

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
    layout = FeatureLayout(len(evaluation.views), evaluation.blocks)
    data = _training_data(train.values, tables_by_split["train"])
    for run in members:
        started = time.monotonic()
        rows: list[dict] = []
        head = frozen_fitting.fit(data, model, run, layout, rows.append)
        curves = LearningCurves(run.live)
        for row in rows:
            curves.log(row)
        frozen.save(run.weights, head, model, p.crop, evaluation.backbones, evaluation.views)
        _write_predictions(run, model, head, data, evaluation.values, tables_by_split["eval"])
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
    eval_features: np.ndarray,
    eval_table: pd.DataFrame,
) -> None:
    """Write the class probabilities of the validation and evaluation photos."""
    target, rows = make_target(model), data.validation_rows(run.fold)
    shown = data.crops[rows][:, : eval_features.shape[1]]
    parts = [
        _table("validation", head, target, shown, data.labels.photo.to_numpy()[rows]),
        _table("eval", head, target, eval_features, eval_table.photo.to_numpy()),
    ]
    write_csv(pd.concat(parts), run.predictions)


def _table(
    name: str,
    head: frozen.StandardizedHead,
    target: Target,
    features: np.ndarray,
    photos: np.ndarray,
) -> pd.DataFrame:
    probabilities, years = frozen.predict(head, target, features)
    part = pd.DataFrame(probabilities, columns=target.task.columns)
    if years is not None:
        part["years"] = years
    part.insert(0, "photo", photos)
    part.insert(0, "set", name)
    return part
