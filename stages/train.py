"""Train one model on one split with one seed."""

import shutil
import sys
from pathlib import Path

import dvclive
import numpy as np

from portrait18 import inference, params, splits, store, tables, training
from portrait18.device import hold_memory
from portrait18.errors import UserError, one_line_errors
from portrait18.runs import Run


@one_line_errors
def main(model: str, fold: str, seed: str) -> None:
    hold_memory()
    p = params.load()
    labels = tables.read("data/labels.csv")
    pixels, table = store.load(Path("data/crops"), "train")
    if not np.array_equal(table.photo, labels.photo):
        raise UserError("data/crops/train.csv and data/labels.csv list different photos; run dvc repro from the start")
    fold_of = splits.held_out(labels, tables.read("data/folds.csv"))

    run = Run(model, int(fold), int(seed))
    shutil.rmtree(run.live, ignore_errors=True)  # a resumed run logs its earlier epochs again
    with dvclive.Live(str(run.live), save_dvc_exp=False, dvcyaml=None, report=None) as live:

        def log(row: dict) -> None:
            for key, value in row.items():
                if key != "epoch":
                    live.log_metric(key, value)
            live.next_step()

        network, _ = training.fit(pixels, labels, fold_of, p.model(model), run, log)
    inference.save(run.weights, network, p.model(model), p.crop)
    run.checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
