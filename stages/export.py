"""Pack the ensemble into one folder that answers without the pipeline."""

from pathlib import Path

from portrait18.core import params, runs
from portrait18.core.files import read_json
from portrait18.dataset import tables
from portrait18.deployment import packing

OUT = Path("models/bundle")
#: Files whose hashes the bundle keeps: what it was trained on, and who was held out.
SOURCES = [
    Path("data") / name
    for name in ("photos/train.csv", "crops/train.csv", "labels.csv", "folds.csv")
]


def main() -> None:
    p = params.load()
    wanted = [
        run
        for of_model in runs.runs_by_model(p.matrix, p.pseudo_label).values()
        for run in of_model
    ]
    sections = {
        "group": p.group,
        "matrix": p.matrix,
        "pseudo_label": p.pseudo_label,
        "predict": p.predict,
    }
    manifest = packing.pack(
        OUT,
        wanted,
        read_json("data/ensemble/config.json"),
        packing.median_box(
            tables.read("data/crops/train.csv"), tables.read("data/photos/train.csv")
        ),
        p.predict,
        p.export,
        {name: section.model_dump() for name, section in sections.items()},
        read_json("reports/metrics.json"),
        SOURCES,
    )
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{OUT}: {len(manifest.networks)} networks, {size / 1e6:.0f} MB")
