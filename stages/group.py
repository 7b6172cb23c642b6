"""Say which photos show the same person, for the ensemble to average gender and age over.

The photos to train on are grouped the same way, so that held-out scores tell what it is worth.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params
from portrait18.dataset import crop_store, tables
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import near_duplicates


def main() -> None:
    p = params.load()
    parts = []
    for name, which in (("train", "validation"), ("eval", "eval")):
        inventory = tables.read(f"data/photos/{name}.csv")
        around = crop_store.open_memmap(
            Path(f"data/crops/{name}_context.npy"), (len(inventory), None), np.int8
        )
        group = near_duplicates.groups(inventory, around, p.data.root / "eval/info.csv", p.group)
        parts.append(inventory[["photo"]].assign(set=which, group=group))
        sizes = pd.Series(group).value_counts()
        print(
            f"{name}: {len(group)} photos in {len(sizes)} groups, {(sizes == 1).sum()} of them alone"
        )
    write_csv(pd.concat(parts), "data/groups.csv")
