"""Pack the ensemble into one folder that predicts without the pipeline."""

from pathlib import Path

from portrait18.core import params, runs
from portrait18.core.files import read_json
from portrait18.dataset import tables
from portrait18.deployment import packing
from portrait18.deployment.bundle import TrainingSet

OUT = Path("models/bundle")
#: Files whose hashes the bundle keeps: the training data and the validation people.
SOURCES = [
    Path("data") / name
    for name in ("photos/train.csv", "crops/train.csv", "labels.csv", "folds.csv")
]


def main() -> None:
    p = params.load()
    box = packing.median_box(
        tables.read("data/crops/train.csv"), tables.read("data/photos/train.csv")
    )
    inputs = packing.BundleInputs(
        runs=[
            run
            for members in runs.runs_by_model(p.matrix, p.pseudo_label).values()
            for run in members
        ],
        ensemble=read_json("data/ensemble/config.json"),
        median_box=box,
        training_set=_training_set(),
        predict=p.predict,
        export=p.export,
        params={
            "group": p.group.model_dump(),
            "matrix": p.matrix.model_dump(),
            "pseudo_label": p.pseudo_label.model_dump(),
            "predict": p.predict.model_dump(),
        },
        metrics=read_json("reports/metrics.json"),
        sources=SOURCES,
    )
    manifest = packing.pack(OUT, inputs)
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{OUT}: {len(manifest.networks)} networks, {size / 1e6:.0f} MB")


def _training_set() -> TrainingSet:
    labels = tables.read("data/labels.csv")
    used = labels[labels.train == 1]
    about = Path("data/photos/about.txt").read_text(encoding="utf-8").strip()
    return TrainingSet(about=about, people=used.person.nunique(), photos=len(used))
