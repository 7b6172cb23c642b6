"""Make labels for one model's round 2 from confident predictions on the evaluation photos."""

import pandas as pd

from portrait18.core import params, runs
from portrait18.core.runs import Run
from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import gender_pairs, pseudo_labels, voting


def main(model: str, fold: str) -> None:
    p = params.load()
    number = Run.parse(model, fold, "0").fold
    models: dict[str, pd.DataFrame] = {}
    for name in p.matrix.all_models:
        members = [tables.read(Run(name, number, seed).predictions) for seed in p.matrix.seeds]
        models[name] = voting.select_set(voting.average_members(members, voting.KEYS), "eval")
    models = gender_pairs.merge(models, runs.people_by_model(p))
    decoded = tables.read("data/crops/eval.csv").set_index("photo").found != "none"
    labels = pseudo_labels.labels(
        pseudo_labels.predict(models), decoded, p.model(model), p.pseudo_label.confidence
    )
    write_csv(labels, Run(model, number, 0).pseudo_labels)
    print(
        f"{model} {fold}: {labels.train.sum()} of {len(labels)} evaluation photos are confident"
        " enough to train on"
    )
