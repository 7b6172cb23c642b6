"""Predict class probabilities of the validation and evaluation photos with one trained model."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from portrait18.core import arithmetic, params, processes
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.core.files import check_writable, file_digest
from portrait18.core.journal import Journal
from portrait18.core.params import PredictParams
from portrait18.core.runs import Run, remove_stale_progress
from portrait18.dataset import crop_store, splits, tables
from portrait18.dataset.tables import write_csv
from portrait18.models import inference, prediction
from portrait18.models.inference import Model
from stages._fingerprint import code_fingerprint

CROPS = Path("data/crops")


def main(*words: str) -> None:
    tune_malloc()
    processes.init()
    p = params.load().predict
    set_deterministic()
    run = Run.parse(*words)
    model = inference.load(run.weights, device())
    if processes.is_main_process():
        check_writable(run.predictions)
        remove_stale_progress(keep=[run.journal("train"), run.journal("eval")])
    parts = [_predict_split(split, run, model, p) for split in ("train", "eval")]
    if processes.is_main_process():
        write_csv(pd.concat(parts), run.predictions)


def _predict_split(split: str, run: Run, model: Model, p: PredictParams) -> pd.DataFrame | None:
    """Return the predictions of one crop store's photos; None outside the main process."""
    crops, table = crop_store.load(CROPS, split)
    rows = _validation_rows(table, run.fold) if split == "train" else np.arange(len(table))
    journal: Journal | None = None
    progress: Callable = iter
    if processes.is_main_process():
        journal = Journal(run.journal(split), _inputs(split, run, rows, p))
        if journal.pieces:
            done = min(len(journal.pieces) * p.batch_size, len(rows))
            print(f"{run} {split}: resuming from photo {done} of {len(rows)}", flush=True)
        progress = partial(tqdm, desc=f"{run} {split}", unit="batch", leave=False, disable=None)
    predict_rows = partial(model.predict, crops, params=p)
    with oom_hint("predict.batch_size"):
        result = prediction.predict(predict_rows, rows, p.batch_size, journal, progress)
    if result is None:
        return None
    probabilities, years = result
    part = pd.DataFrame(probabilities, columns=model.target.task.columns)
    if years is not None:
        part["years"] = years
    part.insert(0, "photo", table.photo.to_numpy()[rows])
    part.insert(0, "set", "validation" if split == "train" else "eval")
    return part


def _validation_rows(table: pd.DataFrame, fold: int) -> np.ndarray:
    labels = tables.read("data/labels.csv")
    crop_store.validate_same_photos(table, labels)
    return np.flatnonzero(splits.photo_folds(labels, tables.read("data/folds.csv")) == fold)


def _inputs(split: str, run: Run, rows: np.ndarray, p: PredictParams) -> list:
    """Return everything that the predictions depend on; a journal of other inputs is discarded."""
    code = code_fingerprint("predict_round2" if run.round == 2 else "predict")
    return [
        *[torch.__version__, version("timm"), cv2.__version__, device().type, code],
        arithmetic.description(),
        file_digest(run.weights),
        file_digest(CROPS / f"{split}.npy"),
        rows.tolist(),
        p.model_dump(),
    ]
