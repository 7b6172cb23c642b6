"""A detector that finds what it is told to, and numbered photos to crop; the fixtures are named in conftest.py."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import crop_params

from portrait18.cropping import builder
from portrait18.cropping.faces import Face
from portrait18.dataset import crop_store
from portrait18.dataset.inventory import probe

#: In both inventories a photo without a face whose person has others, and one whose person has none.
MISSED = {2: "both", 6: "both", 0: "first"}

BOXES = {i: Face(10.0 + i, 12.0, 30.0 + i, 40.0 + i, 2.0, 0.9) for i in range(20)}


class Finder:
    """Takes the place of MTCNN: the first pixel numbers the photo, `missed` says what is found at which thresholds."""

    def __init__(self, missed=None, stop_at=None):
        self.missed, self.stop_at, self.seen, self.stopped = missed or {}, stop_at, [], False

    def __call__(self, batch, retry=False):
        numbers = batch[:, 0, 0, 0].tolist()
        self.stopped = (
            self.stopped or self.stop_at in numbers
        )  # a killed process looks at nothing more
        if self.stopped:
            raise KeyboardInterrupt
        self.seen += numbers
        return [
            [] if self.missed.get(n) in ("both", None if retry else "first") else [BOXES[n]]
            for n in numbers
        ]


@pytest.fixture
def find(monkeypatch):
    """find(missed=, stop_at=) puts a Finder in the detector's place."""

    def put(**how):
        finder = Finder(**how)
        monkeypatch.setattr(builder.faces, "Detector", lambda min_face, device: finder)
        return finder

    return put


@pytest.fixture
def inventory(tmp_path):
    """Seven numbered photos of persons a (0 to 3), b (4, 5) and c (6); photo 3 is twice as large."""
    rows = []
    for i, person in enumerate("aaaabbc"):
        size = (160, 120) if i == 3 else (80, 60)
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        pixels[0, 0] = i
        path = tmp_path / "images" / person / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append((f"{person}/{i}.png", person))
    table, bad = probe(pd.DataFrame(rows, columns=["photo", "folder"]), tmp_path / "images", 10**6)
    assert not bad
    return table


@pytest.fixture
def build(tmp_path):
    def run(inventory, params=None, to="store"):
        work, cpu = tmp_path / f"work-{to}", torch.device("cpu")
        builder.build(inventory, tmp_path / to, "set", params or crop_params(), work, cpu)
        return crop_store.load(tmp_path / to, "set")

    return run


def equal_files(folder, *stores):
    names = ("set.npy", "set.csv", "set_context.npy")
    return all(
        len({(folder / store / name).read_bytes() for store in stores}) == 1 for name in names
    )
