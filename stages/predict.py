"""Predict class probabilities of a model's validation and evaluation photos, with all its runs."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from portrait18.core import arithmetic, params, processes, runs
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.core.files import check_writable, file_digest
from portrait18.core.journal import Journal
from portrait18.core.params import PredictParams
from portrait18.core.runs import Run
from portrait18.dataset import crop_store, splits, tables
from portrait18.dataset.tables import write_csv
from portrait18.models import inference, prediction
from portrait18.models.inference import Model
from portrait18.models.views import CropArray
from stages._fingerprint import code_fingerprint

CROPS = Path("data/crops")


class PhotoSet(NamedTuple):
    """The photos of one crop store.

    Attributes:
        split: `train` or `eval`.
        crops: uint8 (N, S, S, 3).
        names: names of the photos, (N,).
        folds: fold in which each photo is validated, int (N,); None for evaluation photos.
        inputs: what the predictions depend on besides the run and its rows.
    """

    split: str
    crops: CropArray
    names: np.ndarray
    folds: np.ndarray | None
    inputs: list

    def rows(self, run: Run) -> np.ndarray:
        """Return the rows that a run predicts: all, or its validation photos."""
        if self.folds is None:
            return np.arange(len(self.names))
        return np.flatnonzero(self.folds == run.fold)


def main(model: str, round: str = "1") -> None:
    tune_malloc()
    processes.init()
    p = params.load()
    set_deterministic()
    members = runs.model_runs(p.matrix, model, Run.parse(model, "0", "0", round).round)
    if processes.is_main_process():
        check_writable(members[0].predictions)
        splits_of_runs = [(run, split) for run in members for split in ("train", "eval")]
        runs.remove_stale_progress(keep=[run.journal(split) for run, split in splits_of_runs])
    stage = "predict" if members[0].round == 1 else "predict_round2"
    photo_sets = [_load(split, stage, p.predict) for split in ("train", "eval")]
    # Written together at the end: the journals of a run whose predictions exist are removed.
    found = [_predict_run(run, photo_sets, p.predict) for run in members]
    for run, table in zip(members, found, strict=True):
        if table is not None:
            write_csv(table, run.predictions)
            print(f"{run}: {len(table)} photos predicted", flush=True)


def _load(split: str, stage: str, p: PredictParams) -> PhotoSet:
    crops, table = crop_store.load(CROPS, split)
    folds, inputs = None, []
    if split == "train":
        labels = tables.read("data/labels.csv")
        crop_store.validate_same_photos(table, labels)
        folds = splits.photo_folds(labels, tables.read("data/folds.csv"))
    if processes.is_main_process():  # the others have no journal
        inputs = [
            *[torch.__version__, version("timm"), cv2.__version__, device().type],
            code_fingerprint(stage),
            arithmetic.description(),
            file_digest(CROPS / f"{split}.npy"),
            p.model_dump(),
        ]
    return PhotoSet(split, crops, table.photo.to_numpy(), folds, inputs)


def _predict_run(run: Run, photo_sets: list[PhotoSet], p: PredictParams) -> pd.DataFrame | None:
    """Return the predictions of one network; None outside the main process."""
    model = inference.load(run.weights, device())
    parts = [_predict_photos(photos, run, model, p) for photos in photo_sets]
    return pd.concat(parts) if processes.is_main_process() else None


def _predict_photos(
    photos: PhotoSet, run: Run, model: Model, p: PredictParams
) -> pd.DataFrame | None:
    """Return the predictions of one crop store's photos; None outside the main process."""
    split, rows = photos.split, photos.rows(run)
    journal: Journal | None = None
    progress: Callable = iter
    if processes.is_main_process():
        # A journal of other inputs is discarded.
        inputs = [*photos.inputs, file_digest(run.weights), rows.tolist()]
        journal = Journal(run.journal(split), inputs)
        if journal.pieces:
            done = min(len(journal.pieces) * p.batch_size, len(rows))
            print(f"{run} {split}: resuming from photo {done} of {len(rows)}", flush=True)
        progress = partial(tqdm, desc=f"{run} {split}", unit="batch", leave=False, disable=None)
    predict_rows = partial(model.predict, photos.crops, params=p)
    with oom_hint("predict.batch_size"):
        result = prediction.predict(predict_rows, rows, p.batch_size, journal, progress)
    if result is None:
        return None
    probabilities, years = result
    part = pd.DataFrame(probabilities, columns=model.target.task.columns)
    if years is not None:
        part["years"] = years
    part.insert(0, "photo", photos.names[rows])
    part.insert(0, "set", "validation" if split == "train" else "eval")
    return part
