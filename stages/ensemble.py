"""Blend all predictions into one answer for each photo, with everything chosen on held-out people."""

import numpy as np
import pandas as pd

from portrait18.core import params, runs
from portrait18.core.files import write_json
from portrait18.dataset import tables
from portrait18.dataset.classes import ALL, TASKS
from portrait18.dataset.labels import class_index
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import ensemble_config, ensembling, near_duplicates
from portrait18.evaluation.ensemble_config import Votes


def main() -> None:
    p = params.load()
    wanted = runs.runs_by_model(p.matrix, p.pseudo_label)
    models = {
        m: ensembling.average([tables.read(run.predictions) for run in of_model])
        for m, of_model in wanted.items()
    }
    if p.group.by != "none":
        groups = tables.read("data/groups.csv")
        models = {
            m: near_duplicates.average_over_groups(table, groups) for m, table in models.items()
        }
    first = next(iter(models.values()))
    labels = tables.read("data/labels.csv").set_index("photo").loc[first.loc["validation"].index]
    people = labels.person.to_numpy()

    able, votes = {}, {"validation": {}, "eval": {}}
    for task in ensembling.tasks_of(models):
        able[task.name] = [
            m for m, t in models.items() if ensembling.probabilities_of(task, t) is not None
        ]
        for which, of_set in votes.items():
            stack = np.stack(
                [ensembling.probabilities_of(task, models[m].loc[which]) for m in able[task.name]]
            )
            truth = (
                class_index(task, labels, for_training=False).to_numpy()
                if which == "validation"
                else None
            )
            of_set[task.name] = Votes(stack, truth)
    years = {which: _years(models, which) for which in votes}

    ensemble = ensembling.fit(votes["validation"], years["validation"], people, p.ensemble)
    answers = {
        "validation": ensembling.cross_fit(
            votes["validation"], years["validation"], people, p.ensemble
        ),
        "eval": ensemble.answer(votes["eval"], years["eval"]),
    }
    for which, of_set in answers.items():
        photos = labels.index if which == "validation" else first.loc["eval"].index
        write_csv(ensembling.assemble(of_set, photos, years[which]), f"data/ensemble/{which}.csv")
    chosen: dict = {}
    for name, choice in ensemble.choices.items():
        classes = (ALL if name == ALL.name else TASKS[name]).classes
        chosen[name] = {
            "weights": dict(zip(able[name], choice.weights.round(4).tolist(), strict=True)),
            "offsets": dict(zip(classes, choice.offsets.round(2).tolist(), strict=True)),
        }
        print(f"{name}: " + ", ".join(f"{m} x {w}" for m, w in chosen[name]["weights"].items()))
    if ensemble.joint_offsets is not None:
        chosen["joint_offsets"] = dict(
            zip(ALL.classes, ensemble.joint_offsets.round(2).tolist(), strict=True)
        )
    if ensemble.thresholds is not None:
        chosen["thresholds"] = dict(
            zip(("young_middle", "middle_old"), ensemble.thresholds.tolist(), strict=True)
        )
    write_json(chosen, "reports/ensemble.json")
    write_json(ensemble_config.to_json(ensemble, able), "data/ensemble/config.json")


def _years(models: dict[str, pd.DataFrame], which: str) -> np.ndarray | None:
    """Mean expected age over the models that tell one, (N,)."""
    told = [t.loc[which].years for t in models.values() if "years" in t]
    return np.mean(told, axis=0) if told else None
