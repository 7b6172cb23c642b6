"""What the stage check writes, and a person of its small data set."""

import json
from pathlib import Path

from synthetic import PEOPLE

from portrait18.dataset import tables

WHO = Path("photos/train/images") / PEOPLE[0]
OUTS = [
    Path("data/photos/train.csv"),
    Path("data/photos/eval.csv"),
    Path("data/photos/about.txt"),
    Path("reports/check.txt"),
    Path("reports/check.json"),
]


def outputs() -> tuple:
    return tables.read(OUTS[0]), tables.read(OUTS[1]), json.loads(OUTS[-1].read_text())
