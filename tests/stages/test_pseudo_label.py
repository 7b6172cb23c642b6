"""The stage that makes pseudo-labels for round 2, on predictions written by hand."""

import numpy as np
import pandas as pd
import pytest

from portrait18.core import runs
from portrait18.dataset import tables
from portrait18.dataset.classes import TASKS
from portrait18.dataset.tables import write_csv
from stages import pseudo_label

PHOTOS = ["a.jpg", "b.jpg", "c.jpg"]
CONFIDENT = {"mask": ("mask", 0), "gender": ("gender", 1), "age-class": ("age", 2)}


@pytest.fixture
def first_round(tmp_path, monkeypatch, write_params):
    """Predictions of round 1: every model is confident of every photo; b.jpg was not decoded."""
    monkeypatch.chdir(tmp_path)
    write_params(
        tmp_path / "params.yaml",
        {"matrix.models": list(CONFIDENT), "pseudo_label.models": ["mask", "age-class"]},
    )
    for model, (task, predicted) in CONFIDENT.items():
        columns = TASKS[task].columns
        table = pd.DataFrame(np.tile(np.eye(len(columns))[predicted], (3, 1)), columns=columns)
        write_csv(table.assign(set="eval", photo=PHOTOS), runs.Run(model, 0, 0).predictions)
    found = pd.DataFrame({"photo": PHOTOS, "found": ["mtcnn", "none", "median"]})
    write_csv(found, "data/crops/eval.csv")
    return tmp_path


@pytest.mark.parametrize("model", ["mask", "age-class"])
def test_photos_that_could_not_be_decoded_are_not_trained_on(first_round, model, capsys):
    pseudo_label.main(model, "0")
    labels = tables.read(runs.Run(model, 0, 0).pseudo_labels).set_index("photo")
    assert labels.train.to_dict() == {"a.jpg": 1, "b.jpg": 0, "c.jpg": 1}
    assert "2 of 3 evaluation photos are confident enough" in capsys.readouterr().out
