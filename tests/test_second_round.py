"""The stage that makes labels for a second round, on predictions written by hand."""

import numpy as np
import pandas as pd
import pytest

from portrait18.core import runs
from portrait18.dataset import tables
from portrait18.dataset.classes import TASKS
from portrait18.dataset.tables import write_csv
from stages import pseudo_label

PHOTOS = ["a.jpg", "b.jpg", "c.jpg"]
SURE = {"mask": ("mask", 0), "gender": ("gender", 1), "age-class": ("age", 2)}


@pytest.fixture
def first_round(tmp_path, monkeypatch, write_params):
    """A folder with what the first round left: every model sure of every photo to label, b.jpg not decoded."""
    monkeypatch.chdir(tmp_path)
    write_params(
        tmp_path / "params.yaml",
        {"matrix.models": list(SURE), "pseudo_label.models": ["mask", "age-class"]},
    )
    for model, (task, answer) in SURE.items():
        columns = TASKS[task].columns
        table = pd.DataFrame(np.tile(np.eye(len(columns))[answer], (3, 1)), columns=columns)
        write_csv(table.assign(set="eval", photo=PHOTOS), runs.Run(model, 0, 0).predictions)
    found = pd.DataFrame({"photo": PHOTOS, "found": ["mtcnn", "none", "median"]})
    write_csv(found, "data/crops/eval.csv")
    return tmp_path


@pytest.mark.parametrize("model", ["mask", "age-class"])
def test_photos_that_could_not_be_decoded_are_not_trained_on(first_round, model, capsys):
    pseudo_label.main(model, "0")
    labels = tables.read(runs.Run(model, 0, 0).pseudo_labels).set_index("photo")
    assert labels.train.to_dict() == {"a.jpg": 1, "b.jpg": 0, "c.jpg": 1}
    assert "2 of 3 photos to label are sure enough" in capsys.readouterr().out


def test_what_models_left_that_are_no_longer_asked_for_is_removed_here_already(first_round):
    gone = [runs.Run("age-value", 0, 0).predictions, runs.Run("mask", 1, 0).predictions]
    kept = runs.Run("mask", 0, 0, round=2).predictions
    for path in (*gone, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    pseudo_label.main("mask", "0")
    assert not any(path.exists() for path in gone)
    assert kept.exists()
    assert all(runs.Run(model, 0, 0).predictions.exists() for model in SURE)
