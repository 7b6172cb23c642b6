"""Assign each person to the fold in which their photos are validated."""

from portrait18.core import params
from portrait18.dataset import splits, tables
from portrait18.dataset.tables import write_csv


def main() -> None:
    p = params.load()
    listed = tables.read_user_csv(p.data.root / "train/train.csv", ["id"]).id
    folds = splits.assign_folds(tables.read("data/labels.csv"), p.split, listed)
    write_csv(folds, "data/folds.csv")
    counts = folds.fold.value_counts().sort_index()
    print(
        ", ".join(
            f"fold {fold}: {count}" if fold >= 0 else f"training only: {count}"
            for fold, count in zip(counts.index.tolist(), counts.tolist(), strict=True)
        )
    )
