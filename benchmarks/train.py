"""Rows of the train stage: its input pipeline and its loop."""

import json
from functools import partial

import pandas as pd

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, versions
from portrait18.core.model_params import ModelParams
from portrait18.dataset.labels import class_index
from portrait18.models.targets import make_target

LOADER = versions("torch", "torchvision", "pillow")


def first_model(bench: Bench) -> ModelParams:
    """Return the first model of `matrix.models`, which these rows train."""
    return inputs.model(bench, bench.params.matrix.models[0])


def our_settings(bench: Bench, count: int) -> dict:
    """Return the settings of `ours.train_input` and `ours.train_loop`."""
    model = first_model(bench).model_dump_json()
    return {"folder": str(inputs.store(bench, count)), "model": model}


def _peer_settings(bench: Bench, count: int) -> dict:
    """Return the settings of `peers.train_input`."""
    model = first_model(bench)
    labels = pd.read_csv(inputs.store(bench, count) / "labels.csv")
    classes = class_index(make_target(model).task, labels, for_training=True)
    return {
        "paths": inputs.paths(inputs.photos(bench, count)),
        "labels": classes.tolist(),
        "model": json.loads(model.model_dump_json()),
    }


def facts(bench: Bench) -> dict:
    """Return what the rows of a training have in common."""
    model = first_model(bench)
    return {
        "model": bench.params.matrix.models[0],
        "backbone": model.backbone,
        "image_size": model.image_size,
        "batch_size": model.batch_size,
        "num_workers": bench.num_workers,
    }


def data_loading(bench: Bench, count: int) -> Outcome:
    with (
        bench.side("ours.train_input", **our_settings(bench, count)) as ours,
        bench.side("peers.train_input", **_peer_settings(bench, count)) as theirs,
    ):
        return Outcome(bench.compare(ours.turn, theirs.turn).ratios, count, facts(bench))


def cached_batch(bench: Bench, count: int) -> Outcome:
    with bench.side("ours.train_loop", **our_settings(bench, count)) as side:
        pair = bench.compare(side.turn, partial(side.turn, repeated=True))
        return Outcome(pair.ratios, count, facts(bench))


def loop(bench: Bench, count: int) -> Outcome:
    classes = sum(make_target(first_model(bench)).widths)
    theirs = _peer_settings(bench, count)
    with (
        bench.side("ours.train_loop", **our_settings(bench, count)) as a,
        bench.side("peers.train_loop", **theirs, classes=classes) as b,
    ):
        return Outcome(bench.compare(a.turn, b.turn).ratios, count, facts(bench))


ROWS = [
    Row(
        "train-input",
        "`train`, data loading only: photos per second and worker",
        f"a DataLoader over the JPEG files with the same augmentations, photo by photo ({LOADER})",
        "x",
        {"cpu": at_least(10), "cuda": at_least(10)},
        data_loading,
        share=(4, 16),
    ),
    Row(
        "train-cached",
        "`train`, default loop",
        "the same loop on one repeated batch",
        "x",
        {"cpu": at_least(0.95), "cuda": at_least(0.95)},
        cached_batch,
        share=(2, 32),
    ),
    Row(
        "train-loop",
        "`train`, default loop",
        "a plain loop with the same backbone, size and batch: float32, contiguous, AdamW, each "
        f"photo decoded from its JPEG ({versions('torch', 'torchvision', 'timm')})",
        "x",
        {"cpu": at_least(1.3), "cuda": at_least(2.5)},
        loop,
        share=(2, 16),
    ),
]
