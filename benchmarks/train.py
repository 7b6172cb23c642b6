"""Rows of the train stage: what feeds it, and its loop."""

import json
from functools import partial

import pandas as pd

from benchmarks import inputs
from benchmarks.rows import Bench, Outcome, Row, at_least, named
from portrait18.dataset.labels import class_index
from portrait18.models.targets import make_target

LOADER = named("torch", "torchvision", "pillow")


def _sides(bench: Bench, count: int) -> tuple[dict, dict, int]:
    """Settings of our side and of the peer's for the first model of `matrix.models`, and how many classes it tells."""
    name = bench.params.matrix.models[0]
    model, folder = inputs.model(bench, name), inputs.store(bench, count)
    labels = pd.read_csv(folder / "labels.csv")
    target = make_target(model)
    told = class_index(target.task, labels, for_training=True).tolist()
    paths = inputs.paths(inputs.photos(bench, count))
    ours = {"folder": str(folder), "model": model.model_dump_json()}
    return (
        ours,
        {"paths": paths, "labels": told, "model": json.loads(model.model_dump_json())},
        sum(target.widths),
    )


def facts(bench: Bench) -> dict:
    name = bench.params.matrix.models[0]
    model = inputs.model(bench, name)
    return {
        "model": name,
        "backbone": model.backbone,
        "size": model.image_size,
        "batch_size": model.batch_size,
        "workers": bench.workers,
    }


def feeding(bench: Bench, count: int) -> Outcome:
    ours, theirs, _ = _sides(bench, count)
    with (
        bench.side("ours.train_input", **ours) as a,
        bench.side("peers.train_input", **theirs) as b,
    ):
        return Outcome(bench.compare(a.turn, b.turn).ratios, count, facts(bench))


def fed(bench: Bench, count: int) -> Outcome:
    ours, _, _ = _sides(bench, count)
    with bench.side("ours.train_loop", **ours) as side:
        return Outcome(
            bench.compare(side.turn, partial(side.turn, repeated=True)).ratios, count, facts(bench)
        )


def loop(bench: Bench, count: int) -> Outcome:
    ours, theirs, classes = _sides(bench, count)
    with (
        bench.side("ours.train_loop", **ours) as a,
        bench.side("peers.train_loop", **theirs, classes=classes) as b,
    ):
        return Outcome(bench.compare(a.turn, b.turn).ratios, count, facts(bench))


ROWS = [
    Row(
        "train-input",
        "`train`, its input side: photos a second for each worker, no model",
        f"a DataLoader over the JPEG files with the same kinds of augmentation, photo by photo ({LOADER})",
        "x",
        {"cpu": at_least(10), "cuda": at_least(10)},
        feeding,
        share=(4, 16),
    ),
    Row(
        "train-fed",
        "`train`, its loop as it is",
        "the same loop on one repeated batch",
        "x",
        {"cpu": at_least(0.95), "cuda": at_least(0.95)},
        fed,
        share=(2, 32),
    ),
    Row(
        "train-loop",
        "`train`, its loop as it is",
        "a plain loop, same backbone, size and batch: float32, contiguous, AdamW, each photo from its JPEG "
        f"({named('torch', 'torchvision', 'timm')})",
        "x",
        {"cpu": at_least(1.3), "cuda": at_least(2.5)},
        loop,
        share=(2, 16),
    ),
]
