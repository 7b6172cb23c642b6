"""Group photos of the same person, so that the ensemble averages gender and age over them.

The training photos are grouped in the same way, so that validation scores show the effect.
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
    for split, set_name in (("train", "validation"), ("eval", "eval")):
        inventory = tables.read(f"data/photos/{split}.csv")
        descriptors = crop_store.open_memmap(
            Path(f"data/crops/{split}_context.npy"), (len(inventory), None), np.int8
        )
        info = p.data.root / "eval/info.csv"
        group = near_duplicates.groups(inventory, descriptors, info, p.group)
        parts.append(inventory[["photo"]].assign(set=set_name, group=group))
        sizes = pd.Series(group).value_counts()
        print(
            f"{split}: {len(group)} photos in {len(sizes)} groups,"
            f" {(sizes == 1).sum()} groups of one photo"
        )
    write_csv(pd.concat(parts), "data/groups.csv")
