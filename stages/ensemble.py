"""Blend all predictions into one answer for each photo, with weights and offsets chosen on held-out people."""

import numpy as np

from portrait18 import ensembling, params, runs, tables
from portrait18.errors import UserError, one_line_errors
from portrait18.files import write_csv, write_json
from portrait18.targets import class_index


@one_line_errors
def main() -> None:
    p = params.load()
    wanted = runs.wanted(p.matrix)
    runs.forget_others(runs.PREDICTIONS, (run.predictions for of_model in wanted.values() for run in of_model))
    models = {
        m: ensembling.average([tables.read(run.predictions) for run in of_model]) for m, of_model in wanted.items()
    }
    labels = tables.read("data/labels.csv").set_index("photo")
    held_out = labels.loc[next(iter(models.values())).loc["heldout"].index]
    photos = next(iter(models.values())).loc["eval"].index

    answers: dict = {"heldout": {}, "eval": {}}
    chosen = {}
    for task in ensembling.tasks_of(models):
        able = {m: t for m, t in models.items() if ensembling.probabilities_of(task, t) is not None}
        if not able:
            raise UserError(
                f"params.yaml: matrix.models = {list(models)}: no model answers {task.name}; add one whose task is {task.name} or all"
            )
        stack = {s: np.stack([ensembling.probabilities_of(task, t.loc[s]) for t in able.values()]) for s in answers}
        truth = class_index(task, held_out, trained=False).to_numpy()
        answers["heldout"][task.name] = ensembling.cross_fit(
            stack["heldout"], truth, held_out.person.to_numpy(), p.ensemble
        )
        choice = ensembling.choose(stack["heldout"], truth, p.ensemble)
        blended = ensembling.blend(stack["eval"], choice.weights)
        answers["eval"][task.name] = blended, ensembling.decide(blended, choice.offsets)
        chosen[task.name] = {
            "weights": dict(zip(able, choice.weights.round(4).tolist(), strict=True)),
            "offsets": dict(zip(task.classes, choice.offsets.round(2).tolist(), strict=True)),
        }
    for which, of_set in answers.items():
        told = [t.loc[which].years for t in models.values() if "years" in t]
        years = np.mean(told, axis=0) if told else None
        write_csv(
            ensembling.assemble(of_set, held_out.index if which == "heldout" else photos, years),
            f"data/ensemble/{which}.csv",
        )
    write_json(chosen, "reports/ensemble.json")
    for task, choice in chosen.items():
        print(f"{task}: " + ", ".join(f"{m} x {w}" for m, w in choice["weights"].items()), "offsets", choice["offsets"])


if __name__ == "__main__":
    main()
