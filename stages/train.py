"""Train one model on one split with one seed; in round 2, on pseudo-labeled photos too."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params, processes
from portrait18.core.device import tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.core.files import check_writable
from portrait18.core.runs import Run, remove_stale_progress
from portrait18.dataset import crop_store, splits, tables
from portrait18.models import inference
from portrait18.training import loop
from portrait18.training.curves import LearningCurves
from portrait18.training.data import TrainingData
from stages._fingerprint import code_fingerprint

CROPS = Path("data/crops")


def main(model: str, fold: str, seed: str, round: str = "1") -> None:
    tune_malloc()
    processes.init()
    p = params.load()
    run = Run.parse(model, fold, seed, round)
    data = _load_data(run, p.crop.margin)
    loop.validate_models(p.train)
    settings = p.model(run.model)
    code = code_fingerprint("train_round2" if run.round == 2 else "train")
    if processes.is_main_process():
        check_writable(run.weights)
        remove_stale_progress(keep=[run.checkpoint])
    if not processes.is_main_process():
        loop.fit(data, settings, run, code=code)
        return
    curves = LearningCurves(run.live)
    with oom_hint(f"batch_size or image_size of train.{run.model} or train.common"):
        network, _ = loop.fit(data, settings, run, curves.log, code)
    inference.save(run.weights, network, settings, p.crop)


def _load_data(run: Run, margin: float) -> TrainingData:
    """Load the training photos and, in round 2, the evaluation photos, which are in no fold."""
    labels = tables.read("data/labels.csv")
    crops, table = crop_store.load(CROPS, "train")
    crop_store.validate_same_photos(table, labels)
    folds = splits.photo_folds(labels, tables.read("data/folds.csv"))
    if run.round == 1:
        return TrainingData(crops, labels, folds, margin)
    eval_crops, table = crop_store.load(CROPS, "eval")
    pseudo = tables.read(run.pseudo_labels).set_index("photo").loc[table.photo].reset_index()
    processes.print_once(
        f"{run}: {pseudo.train.sum()} of {len(pseudo)} evaluation photos are pseudo-labeled"
    )
    return TrainingData(
        crop_store.ConcatCrops([crops, eval_crops]),
        pd.concat([labels, pseudo], ignore_index=True),
        np.append(folds, np.full(len(pseudo), -1)),
        margin,
    )
