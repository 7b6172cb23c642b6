"""Grad-CAM heat maps of one trained model on a few held-out photos: where it looked when it was right, and when wrong."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.runs import Run
from portrait18.dataset import crop_store, tables
from portrait18.dataset.classes import TASKS
from portrait18.dataset.tables import write_csv
from portrait18.models import inference
from portrait18.visualization import contact_sheets, heatmaps


def main(*words: str) -> None:
    tune_malloc()
    set_deterministic()
    p = params.load()
    run = Run.parse(*words)
    model = inference.load(run.weights, device())
    predictions = tables.read(run.predictions)
    held_out = predictions[predictions.set == "validation"]
    labels = tables.read("data/labels.csv")
    count = p.explain.photos if heatmaps.can_be_drawn(model) else 0
    tasks = heatmaps.tasks_of(model)
    chosen = pd.concat(
        [heatmaps.choose(task, held_out, labels, count) for task in tasks], ignore_index=True
    )

    pixels, table = crop_store.load(Path("data/crops"), "train")
    row_of = dict(zip(table.photo, range(len(table)), strict=True))
    drawn = [np.empty((0, *pixels.shape[1:]), np.uint8)]
    for name, of_task in chosen.groupby("task", sort=False):
        crops = pixels[[row_of[photo] for photo in of_task.photo]]
        drawn.append(
            heatmaps.overlay(
                crops, heatmaps.grad_cam(model, crops, TASKS[name], of_task.answer.to_numpy())
            )
        )
    none = (
        "explain.photos = 0"
        if not p.explain.photos
        else f"{model.params.backbone} has no last feature map"
    )
    captions = heatmaps.captions(chosen)
    contact_sheets.contact_sheet(
        np.concatenate(drawn),
        captions,
        f"reports/explain/{run.name}.png",
        contact_sheets.LARGE,
        none,
    )
    write_csv(chosen, f"data/explain/{run.name}.csv")
    print(f"{run}: heat maps of {len(chosen)} photos" if count else f"{run}: no heat maps, {none}")
