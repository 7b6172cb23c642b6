"""Summary of a crop store: how its faces were found, and which crops to look at."""

import numpy as np
import pandas as pd

from portrait18.dataset.classes import MASK

#: Values of the column `found`, see `portrait18.cropping.builder`, from detected to unknown.
SOURCES = ("mtcnn", "retry", "yunet", "rotated", "person", "median", "center", "none")
#: Boxes of upright photos, of which medians are taken; a rotated photo's box is elsewhere.
UPRIGHT = ("mtcnn", "retry", "yunet")
DETECTED = (*UPRIGHT, "rotated")


def summarize(table: pd.DataFrame, inventory: pd.DataFrame) -> dict:
    """Return detection rates and counts.

    Args:
        table: the store's CSV.
        inventory: data/photos/<set>.csv; with a column `mask`, rates are also given per mask class.

    Returns:
        `photos`, `detection_rate` (share of photos with a face), `detection_rate_by_mask` and
        `found` (photos by source).
    """
    detected = table.found.isin(DETECTED)
    result: dict = {"photos": len(table), "detection_rate": round(float(detected.mean()), 4)}
    if "mask" in inventory:
        rates = detected.groupby(inventory["mask"].to_numpy()).mean().round(4)
        result["detection_rate_by_mask"] = {
            name: float(rates[index]) for index, name in enumerate(MASK.classes) if index in rates
        }
    found = {source: int((table.found == source).sum()) for source in SOURCES}
    return {**result, "found": found}


def examples(table: pd.DataFrame, count: int) -> dict[int, str]:
    """Return about `count` evenly spaced rows and their sources, for a contact sheet."""
    rows = np.unique(np.linspace(0, len(table) - 1, count).astype(int))
    return {int(i): table.found[i] for i in rows}


def fallbacks(table: pd.DataFrame, count: int) -> dict[int, str]:
    """Return up to `count` rows that the first search missed, and their sources.

    The least certain come first. With `crop.method: yunet`, its search is the first; with `center`
    there is none to miss a face.
    """
    first = "mtcnn" if (table.found == "mtcnn").any() else "yunet"
    rare = table[~table.found.isin([first, "center"])]
    order = {source: -i for i, source in enumerate(SOURCES)}
    rows = rare.found.map(order).sort_values(kind="stable").index[:count]
    return {int(i): table.found[i] for i in rows.to_numpy()}
