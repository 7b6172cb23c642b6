"""Class probabilities of one trained model, for the photos it held out and for those to label."""

import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import timm
import torch
from tqdm import tqdm

from portrait18.core import params, processes
from portrait18.core.device import device, hold_memory, reproducible
from portrait18.core.errors import memory_set_by, one_line_errors
from portrait18.core.files import code_digest, file_digest, require_writable, write_csv
from portrait18.core.journal import Journal
from portrait18.core.runs import Run, forget_finished
from portrait18.dataset import crop_store, splits, tables
from portrait18.models import inference, prediction


@one_line_errors
def main(*words: str) -> None:
    hold_memory()
    processes.join()
    p = params.load().predict
    reproducible()
    run = Run.parse(*words)
    trained = inference.load(run.weights, device())
    labels = tables.read("data/labels.csv")
    held_out = np.flatnonzero(splits.held_out(labels, tables.read("data/folds.csv")) == run.fold)
    journals = {which: run.journal(which) for which in ("train", "eval")}
    if processes.first():
        require_writable(run.predictions)
        forget_finished(keep=journals.values())
    made_by = [torch.__version__, timm.__version__, cv2.__version__, device().type, code_digest()]
    parts = []
    for which in ("train", "eval"):
        pixels, table = crop_store.load(Path("data/crops"), which)
        if which == "train":
            crop_store.require_same_photos(table, labels)
        rows = held_out if which == "train" else np.arange(len(table))
        predict = partial(prediction.predict, trained=trained, crops=pixels, rows=rows, params=p)
        if not processes.first():
            predict(None)
            continue
        inputs = [file_digest(run.weights), file_digest(f"data/crops/{which}.npy"), rows.tolist(), p.model_dump()]
        journal = Journal(journals[which], made_by + inputs)
        if journal.pieces:
            done = min(len(journal.pieces) * p.batch_size, len(rows))
            print(f"{run} {which}: going on from photo {done} of {len(rows)}", flush=True)
        progress = partial(tqdm, desc=f"{run} {which}", unit="batch", leave=False, disable=None)
        with memory_set_by("predict.batch_size"):
            probabilities, years = predict(journal, progress=progress)
        part = pd.DataFrame(probabilities, columns=trained.target.task.columns)
        if years is not None:
            part["years"] = years
        part.insert(0, "photo", table.photo.to_numpy()[rows])
        part.insert(0, "set", "heldout" if which == "train" else "eval")
        parts.append(part)
    if not processes.first():
        return
    write_csv(pd.concat(parts), run.predictions)


if __name__ == "__main__":
    main(*sys.argv[1:])
