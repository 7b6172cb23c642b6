"""Labels for one model's second round: what the first round is sure of on the photos to label."""

import sys

from portrait18.core import params, runs
from portrait18.core.errors import one_line_errors
from portrait18.core.files import write_csv
from portrait18.core.runs import Run
from portrait18.dataset import tables
from portrait18.evaluation import ensembling, pseudo_labels


@one_line_errors
def main(model: str, fold: str) -> None:
    p = params.load()
    wanted = [run.predictions for of_model in runs.wanted(p.matrix, p.second).values() for run in of_model]
    runs.forget_others(runs.FIRST, wanted)  # now: removed later, they would count as a change of what this stage read
    models = {
        m: ensembling.average([tables.read(Run(m, int(fold), s).predictions) for s in p.matrix.seeds]).loc["eval"]
        for m in p.matrix.models
    }
    seen = tables.read("data/crops/eval.csv").set_index("photo").found != "none"
    labels = pseudo_labels.labels(pseudo_labels.first_answers(models), seen, p.model(model), p.second.confidence)
    write_csv(labels, Run(model, int(fold), 0).pseudo_labels)
    print(f"{model} {fold}: {labels.train.sum()} of {len(labels)} photos to label are sure enough to train on")


if __name__ == "__main__":
    main(*sys.argv[1:])
