import numpy as np
import pandas as pd
import pytest
from PIL import Image

from portrait18.dataset.classes import MASK, NAMES
from portrait18.evaluation import analysis
from portrait18.visualization import plots

RNG = np.random.default_rng(0)
COUNTS = RNG.integers(0, 50, (18, 18))
BY_COLUMN = pd.DataFrame({"column": ["mask"] * 3, "value": MASK.classes, "photos": [5, 1, 0]})
BY_CLASS = pd.DataFrame({"class": range(18), "name": NAMES, "photos": range(18)})
CALIBRATION = pd.DataFrame({"confidence": [0.4, 0.9], "accuracy": [0.5, 0.8], "photos": [3, 9]})
HISTORY = pd.DataFrame(
    {"step": [0, 1], "macro_f1": [0.3, 0.5], "loss": [1.0, 0.8], "train_loss": [1.1, 0.6]}
)
AGES = np.array([18, 25, 33, 60, 61, 64])
BY_DECADE = analysis.age_by_decade(AGES, AGES // 30, np.zeros(6, int), AGES + 2.5)

DRAWN = {
    "class_counts": lambda path: plots.class_counts(BY_COLUMN, BY_CLASS, path),
    "confusion of 3": lambda path: plots.confusion(COUNTS[:3, :3], MASK.classes, path),
    "confusion of 18": lambda path: plots.confusion(COUNTS, NAMES, path),
    "confusion of nothing": lambda path: plots.confusion(np.zeros((3, 3), int), MASK.classes, path),
    "calibration": lambda path: plots.calibration({"mask": CALIBRATION, "age": CALIBRATION}, path),
    "age_error": lambda path: plots.age_error(BY_DECADE, AGES, AGES + 2.5, path),
    "age_error without years": lambda path: plots.age_error(BY_DECADE, AGES, None, path),
    "learning_curves": lambda path: plots.learning_curves(
        {f"model {i}": HISTORY for i in range(12)}, path
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_opens_has_a_sane_size_and_the_same_bytes_every_time(tmp_path, name):
    first, again = tmp_path / "sub/first.png", tmp_path / "again.png"
    DRAWN[name](first)
    DRAWN[name](again)
    with Image.open(first) as image:
        assert image.format == "PNG"
        width, height = image.size
        colors = image.convert("RGB").getcolors(2**24)
    assert 300 < width < 2500
    assert 300 < height < 2500
    assert len(colors) > 10
    assert first.read_bytes() == again.read_bytes()
    assert [p.name for p in first.parent.iterdir()] == ["first.png"]


def test_every_function_that_draws_is_tried():
    functions = {
        n
        for n, f in vars(plots).items()
        if callable(f) and f.__module__ == plots.__name__ and n[0] != "_"
    }
    assert functions == {name.split(" ")[0] for name in DRAWN}


def test_more_to_see_changes_the_picture(tmp_path):
    plots.confusion(np.diag([5, 6, 7]), MASK.classes, tmp_path / "a.png")
    plots.confusion(np.diag([5, 6, 8]), MASK.classes, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
