"""Train one model on one split with one seed; in a second round, on the photos to label too."""

import shutil
import sys
from pathlib import Path

import dvclive
import numpy as np
import pandas as pd

from portrait18.core import params, processes
from portrait18.core.device import hold_memory
from portrait18.core.errors import memory_set_by, one_line_errors
from portrait18.core.files import require_writable
from portrait18.core.runs import Run, forget_finished
from portrait18.dataset import crop_store, splits, tables
from portrait18.models import inference
from portrait18.training import loop


@one_line_errors
def main(*words: str) -> None:
    hold_memory()
    processes.join()
    p = params.load()
    labels = tables.read("data/labels.csv")
    pixels, table = crop_store.load(Path("data/crops"), "train")
    crop_store.require_same_photos(table, labels)
    fold_of = splits.held_out(labels, tables.read("data/folds.csv"))

    loop.refuse_unfit(p.models)
    run = Run.parse(*words)
    model = p.model(run.model)
    if processes.first():
        require_writable(run.weights)
        forget_finished(keep=[run.checkpoint])
    if run.second:
        crops, known = crop_store.load(Path("data/crops"), "eval")
        more = tables.read(run.pseudo_labels).set_index("photo").loc[known.photo].reset_index()
        processes.say(f"{run}: {more.train.sum()} of {len(more)} photos to label are trained on")
        pixels = crop_store.Joined([pixels, crops])
        labels = pd.concat([labels, more], ignore_index=True)
        fold_of = np.append(fold_of, np.full(len(more), -1))
    if not processes.first():
        loop.fit(pixels, labels, fold_of, model, run)
        return
    shutil.rmtree(run.live, ignore_errors=True)  # a resumed run logs its earlier epochs again
    with dvclive.Live(str(run.live), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def log(row: dict) -> None:
            for key, value in row.items():
                if key != "epoch":
                    live.log_metric(key, value)
            live.next_step()

        with memory_set_by(f"batch_size or size of train.{run.model} or train.common"):
            network, _ = loop.fit(pixels, labels, fold_of, model, run, log)
    inference.save(run.weights, network, model, p.crop)


if __name__ == "__main__":
    main(*sys.argv[1:])
