"""Labels for one model's second round: what the first round is sure of on the photos to label."""

from portrait18.core import params
from portrait18.core.runs import Run
from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import pseudo_labels, voting


def main(model: str, fold: str) -> None:
    p = params.load()
    models = {
        m: voting.average_members(
            [tables.read(Run(m, int(fold), s).predictions) for s in p.matrix.seeds],
            ["set", "photo"],
        ).loc["eval"]
        for m in p.matrix.models
    }
    seen = tables.read("data/crops/eval.csv").set_index("photo").found != "none"
    labels = pseudo_labels.labels(
        pseudo_labels.first_answers(models), seen, p.model(model), p.pseudo_label.confidence
    )
    write_csv(labels, Run(model, int(fold), 0).pseudo_labels)
    print(
        f"{model} {fold}: {labels.train.sum()} of {len(labels)} evaluation photos are confident enough to train on"
    )
