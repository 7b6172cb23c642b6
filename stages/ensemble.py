"""Blend all predictions into one answer for each photo, with everything chosen on held-out people."""

import numpy as np
import pandas as pd

from portrait18.core import params, runs
from portrait18.core.errors import one_line_errors
from portrait18.core.files import write_csv, write_json
from portrait18.dataset import near_duplicates, tables
from portrait18.dataset.classes import ALL, TASKS
from portrait18.evaluation import ensemble_config, ensembling
from portrait18.evaluation.ensemble_config import Votes
from portrait18.models.targets import class_index


@one_line_errors
def main() -> None:
    p = params.load()
    wanted = runs.wanted(p.matrix, p.second)
    predictions = [run.predictions for of_model in wanted.values() for run in of_model]
    runs.forget_others(runs.PREDICTIONS, predictions)
    runs.forget_finished()
    models = {
        m: ensembling.average([tables.read(run.predictions) for run in of_model]) for m, of_model in wanted.items()
    }
    if p.group.by != "none":
        groups = tables.read("data/groups.csv")
        models = {m: near_duplicates.averaged(table, groups) for m, table in models.items()}
    first = next(iter(models.values()))
    labels = tables.read("data/labels.csv").set_index("photo").loc[first.loc["heldout"].index]
    people = labels.person.to_numpy()

    able, votes = {}, {"heldout": {}, "eval": {}}
    for task in ensembling.tasks_of(models):
        able[task.name] = [m for m, t in models.items() if ensembling.probabilities_of(task, t) is not None]
        for which, of_set in votes.items():
            stack = np.stack([ensembling.probabilities_of(task, models[m].loc[which]) for m in able[task.name]])
            truth = class_index(task, labels, trained=False).to_numpy() if which == "heldout" else None
            of_set[task.name] = Votes(stack, truth)
    years = {which: _years(models, which) for which in votes}

    ensemble = ensembling.fit(votes["heldout"], years["heldout"], people, p.ensemble)
    answers = {
        "heldout": ensembling.cross_fit(votes["heldout"], years["heldout"], people, p.ensemble),
        "eval": ensemble.answer(votes["eval"], years["eval"]),
    }
    for which, of_set in answers.items():
        photos = labels.index if which == "heldout" else first.loc["eval"].index
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
        chosen["joint_offsets"] = dict(zip(ALL.classes, ensemble.joint_offsets.round(2).tolist(), strict=True))
    if ensemble.borders is not None:
        chosen["borders"] = dict(zip(("young_middle", "middle_old"), ensemble.borders.tolist(), strict=True))
    write_json(chosen, "reports/ensemble.json")
    write_json(ensemble_config.to_json(ensemble, able), "data/ensemble/choice.json")


def _years(models: dict[str, pd.DataFrame], which: str) -> np.ndarray | None:
    """Mean expected age over the models that tell one, (N,)."""
    told = [t.loc[which].years for t in models.values() if "years" in t]
    return np.mean(told, axis=0) if told else None


if __name__ == "__main__":
    main()
