"""Labels for one model's second round: what the first round is sure of on the photos to label."""

import sys

from portrait18 import params
from portrait18.data import tables
from portrait18.ensemble import ensembling
from portrait18.errors import one_line_errors
from portrait18.files import write_csv
from portrait18.runs import Run
from portrait18.training import pseudo


@one_line_errors
def main(model: str, fold: str) -> None:
    p = params.load()
    models = {
        m: ensembling.average([tables.read(Run(m, int(fold), s).predictions) for s in p.matrix.seeds]).loc["eval"]
        for m in p.matrix.models
    }
    labels = pseudo.labels(pseudo.first_answers(models), p.model(model), p.second.confidence)
    write_csv(labels, Run(model, int(fold), 0).pseudo_labels)
    print(f"{model} {fold}: {labels.train.sum()} of {len(labels)} photos to label are sure enough to train on")


if __name__ == "__main__":
    main(*sys.argv[1:])
