"""A scripted detector and numbered photos to crop; conftest.py registers the fixtures."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tiny import crop_params

from portrait18.cropping import builder, faces
from portrait18.cropping.faces import Face
from portrait18.dataset import crop_store
from portrait18.dataset.probing import probe

#: In both inventories, a missed photo whose person has others, and one whose person has none.
MISSED = {2: "both", 6: "both", 0: "first"}

BOXES = {
    i: Face(10.0 + i, 12.0, 30.0 + i, 40.0 + i, 2.0, 0.9, tuple(np.arange(10) + i + 0.25))
    for i in range(20)
}


class ScriptedDetector:
    """Replaces the detector; the first pixel of a photo is its number.

    Args:
        missed: number -> `first` or `both`: the first search finds no face, or the second neither.
        stop_at: number of the photo that kills the run.

    Attributes:
        seen: numbers of the photos that were searched, in order.
    """

    def __init__(self, missed=None, stop_at=None):
        self.missed, self.stop_at, self.seen, self.stopped = missed or {}, stop_at, [], False
        self.searches = ("mtcnn", "retry")

    def __call__(self, batch, search):
        numbers = batch[:, 0, 0, 0].tolist()
        self.stopped = self.stopped or self.stop_at in numbers  # a killed process does no more
        if self.stopped:
            raise KeyboardInterrupt
        self.seen += numbers
        missed = ("both", None if search == "retry" else "first")
        return [[] if self.missed.get(n) in missed else [BOXES[n]] for n in numbers]


@pytest.fixture
def find(monkeypatch):
    """find(missed=, stop_at=) installs a ScriptedDetector and returns it."""

    def install(**kwargs):
        detector = ScriptedDetector(**kwargs)
        monkeypatch.setattr(faces, "Detector", lambda min_face, device, method: detector)
        return detector

    return install


@pytest.fixture
def inventory(tmp_path):
    """Seven numbered photos of persons a (0 to 3), b (4, 5), c (6); photo 3 has twice the size."""
    rows = []
    for i, person in enumerate("aaaabbc"):
        size = (160, 120) if i == 3 else (80, 60)
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        pixels[0, 0] = i
        path = tmp_path / "images" / person / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append((f"{person}/{i}.png", person))
    table, bad, _ = probe(
        pd.DataFrame(rows, columns=["photo", "folder"]), tmp_path / "images", 10**6
    )
    assert not bad
    return table


@pytest.fixture
def build(tmp_path):
    """build(inventory, params=, to=) crops into the folder `to` and loads the store."""

    def run(inventory, params=None, to="store", code="", device="cpu"):
        job = builder.CropJob(
            inventory=inventory,
            folder=tmp_path / to,
            name="set",
            params=params or crop_params(),
            work_dir=tmp_path / f"work-{to}",
            device=torch.device(device),
            code=code,
        )
        builder.build(job)
        return crop_store.load(tmp_path / to, "set")

    return run


def equal_files(folder, *stores):
    names = ("set.npy", "set.csv", "set_context.npy")
    return all(
        len({(folder / store / name).read_bytes() for store in stores}) == 1 for name in names
    )
