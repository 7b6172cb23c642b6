"""A detector; killed runs and growing data sets, in chunks of two photos."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from portrait18.cropping import builder, faces, reuse
from portrait18.dataset.probing import probe


@pytest.fixture(scope="module")
def detector():
    return faces.Detector(0.2, torch.device("cpu"))


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of two photos in one thread, so that the progress of a killed run is fixed."""
    monkeypatch.setattr(builder, "CHUNK", 2)
    monkeypatch.setattr(reuse, "COPY_BATCH", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def killed(build, find):
    """killed(inventory, stop_at=) runs until photo `stop_at` reaches the detector."""

    def run(inventory, params=None, **kwargs):
        detector = find(**kwargs)
        with pytest.raises(KeyboardInterrupt):
            build(inventory, params)
        return detector

    return run


@pytest.fixture
def grown(inventory, tmp_path):
    """A later inventory: photo 1 changed, photo 5 is gone, three are new, the order differs."""
    images = tmp_path / "images"
    for number, name in ((11, "a/1.png"), (12, "aa/0.png"), (13, "b/9.png"), (14, "d/0.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (80, 60, 3), np.uint8)
        pixels[0, 0] = number
        (images / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(images / name)
    names = [
        "d/0.png",
        "a/2.png",
        "a/0.png",
        "aa/0.png",
        "a/3.png",
        "a/1.png",
        "b/9.png",
        "b/4.png",
        "c/6.png",
    ]
    table = pd.DataFrame({"photo": names, "folder": [name.split("/")[0] for name in names]})
    return probe(table, images, 10**6)[0]
