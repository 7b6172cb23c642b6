"""Give each person the fold in which their photos are held out."""

from portrait18.core import params
from portrait18.dataset import splits, tables
from portrait18.dataset.tables import write_csv


def main() -> None:
    p = params.load()
    listed = tables.read_user_csv(p.data.root / "train/train.csv", ["id"]).id
    folds = splits.assign_folds(tables.read("data/labels.csv"), p.split, listed)
    write_csv(folds, "data/folds.csv")
    print(
        ", ".join(
            f"fold {fold}: {n}" if fold >= 0 else f"never held out: {n}"
            for fold, n in folds.fold.value_counts().sort_index().items()
        )
    )
