"""Draw Grad-CAM heat maps of each model's first fold and seed on some validation photos."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.runs import Run
from portrait18.dataset import crop_store, tables
from portrait18.dataset.classes import TASKS
from portrait18.dataset.labels import select_people
from portrait18.dataset.tables import write_csv
from portrait18.models import inference
from portrait18.models.inference import Model
from portrait18.visualization import contact_sheets, heatmap_examples, heatmaps


def main() -> None:
    tune_malloc()
    set_deterministic()
    p = params.load()
    for name in p.matrix.all_models:
        explain(Run(name, p.matrix.folds[0], p.matrix.seeds[0]), p.explain.photos)


def explain(run: Run, requested: int) -> None:
    """Draw the heat maps of one run."""
    model = inference.load(run.weights, device())
    drawable = heatmaps.has_feature_map(model)
    examples = _examples(model, run, requested if drawable else 0)
    reason = (
        f"{model.params.backbone} has no last feature map" if requested else "explain.photos = 0"
    )
    contact_sheets.contact_sheet(
        _drawn(model, examples),
        heatmap_examples.captions(examples),
        f"reports/explain/{run.name}.png",
        contact_sheets.LARGE,
        reason,
    )
    write_csv(examples, f"data/explain/{run.name}.csv")
    if requested and drawable:
        print(f"{run}: heat maps of {len(examples)} photos")
    else:
        print(f"{run}: no heat maps, {reason}")


def _examples(model: Model, run: Run, count: int) -> pd.DataFrame:
    """Return `count` validation photos for each task of the model, of the people it is for."""
    predictions = tables.read(run.predictions)
    validation = predictions[predictions.set == "validation"]
    labels = select_people(tables.read("data/labels.csv"), model.params.people)
    validation = validation[validation.photo.isin(labels.photo)]
    parts = [
        heatmap_examples.select(task, validation, labels, count)
        for task in heatmaps.predicted_tasks(model)
    ]
    return pd.concat(parts, ignore_index=True)


def _drawn(model: Model, examples: pd.DataFrame) -> np.ndarray:
    """Return the photos of `examples` under their heat maps, uint8 (N, S, S, 3)."""
    pixels, table = crop_store.load(Path("data/crops"), "train")
    row_of = dict(zip(table.photo, range(len(table)), strict=True))
    drawn = [np.empty((0, *pixels.shape[1:]), np.uint8)]
    for name, rows in examples.groupby("task", sort=False):
        crops = pixels[[row_of[photo] for photo in rows.photo]]
        maps = heatmaps.grad_cam(model, crops, TASKS[str(name)], rows.predicted.to_numpy())
        drawn.append(heatmaps.overlay(crops, maps))
    return np.concatenate(drawn)
