"""Train one model on one split with one seed; in a second round, on the photos to label too."""

import shutil
from pathlib import Path

import dvclive
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
from stages._fingerprint import code_fingerprint


def main(*words: str) -> None:
    tune_malloc()
    processes.init()
    p = params.load()
    labels = tables.read("data/labels.csv")
    pixels, table = crop_store.load(Path("data/crops"), "train")
    crop_store.validate_same_photos(table, labels)
    fold_of = splits.photo_folds(labels, tables.read("data/folds.csv"))

    loop.validate_models(p.models)
    run = Run.parse(*words)
    model = p.model(run.model)
    code = code_fingerprint("train_round2" if run.round == 2 else "train")
    if processes.is_main_process():
        check_writable(run.weights)
        remove_stale_progress(keep=[run.checkpoint])
    if run.round == 2:
        crops, known = crop_store.load(Path("data/crops"), "eval")
        more = tables.read(run.pseudo_labels).set_index("photo").loc[known.photo].reset_index()
        processes.print_once(
            f"{run}: {more.train.sum()} of {len(more)} photos to label are trained on"
        )
        pixels = crop_store.ConcatCrops([pixels, crops])
        labels = pd.concat([labels, more], ignore_index=True)
        fold_of = np.append(fold_of, np.full(len(more), -1))
    if not processes.is_main_process():
        loop.fit(pixels, labels, fold_of, model, run, code=code)
        return
    shutil.rmtree(run.live, ignore_errors=True)  # a resumed run logs its earlier epochs again
    with dvclive.Live(str(run.live), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def log(row: dict) -> None:
            for key, value in row.items():
                if key != "epoch":
                    live.log_metric(key, value)
            live.next_step()

        with oom_hint(f"batch_size or image_size of train.{run.model} or train.common"):
            network, _ = loop.fit(pixels, labels, fold_of, model, run, log, code)
    inference.save(run.weights, network, model, p.crop)
