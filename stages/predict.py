"""Class probabilities of one trained model, for the photos it held out and for those to label."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import timm
import torch
from tqdm import tqdm

from portrait18.core import params, processes
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.core.files import check_writable, file_digest
from portrait18.core.journal import Journal
from portrait18.core.runs import Run, remove_stale_progress
from portrait18.dataset import crop_store, splits, tables
from portrait18.dataset.tables import write_csv
from portrait18.models import inference, prediction
from stages._fingerprint import code_fingerprint


def main(*words: str) -> None:
    tune_malloc()
    processes.init()
    p = params.load().predict
    set_deterministic()
    run = Run.parse(*words)
    trained = inference.load(run.weights, device())
    labels = tables.read("data/labels.csv")
    held_out = np.flatnonzero(splits.photo_folds(labels, tables.read("data/folds.csv")) == run.fold)
    journals = {which: run.journal(which) for which in ("train", "eval")}
    if processes.is_main_process():
        check_writable(run.predictions)
        remove_stale_progress(keep=journals.values())
    code = code_fingerprint("predict_round2" if run.round == 2 else "predict")
    made_by = [torch.__version__, timm.__version__, cv2.__version__, device().type, code]
    parts = []
    for which in ("train", "eval"):
        pixels, table = crop_store.load(Path("data/crops"), which)
        if which == "train":
            crop_store.validate_same_photos(table, labels)
        rows = held_out if which == "train" else np.arange(len(table))
        predict = partial(prediction.predict, trained=trained, crops=pixels, rows=rows, params=p)
        if not processes.is_main_process():
            predict(None)
            continue
        inputs = [
            file_digest(run.weights),
            file_digest(f"data/crops/{which}.npy"),
            rows.tolist(),
            p.model_dump(),
        ]
        journal = Journal(journals[which], made_by + inputs)
        if journal.pieces:
            done = min(len(journal.pieces) * p.batch_size, len(rows))
            print(f"{run} {which}: going on from photo {done} of {len(rows)}", flush=True)
        progress = partial(tqdm, desc=f"{run} {which}", unit="batch", leave=False, disable=None)
        with oom_hint("predict.batch_size"):
            probabilities, years = predict(journal, progress=progress)
        part = pd.DataFrame(probabilities, columns=trained.target.task.columns)
        if years is not None:
            part["years"] = years
        part.insert(0, "photo", table.photo.to_numpy()[rows])
        part.insert(0, "set", "validation" if which == "train" else "eval")
        parts.append(part)
    if not processes.is_main_process():
        return
    write_csv(pd.concat(parts), run.predictions)
