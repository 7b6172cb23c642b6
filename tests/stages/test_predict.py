"""The stage that predicts with all networks of a model, on photos of single colors."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import colored_people, write_project

from portrait18.core import params, runs
from portrait18.models import backbones, inference
from portrait18.models.inference import Model
from portrait18.models.targets import make_target
from stages import predict

CHANGES = {
    "crop.image_size": 40,
    "features.backbones": [],
    "split.folds": 2,
    "matrix": {
        "models": ["mask", "gender", "age-class"],
        "frozen": [],
        "folds": [0, 1],
        "seeds": [3, 4],
    },
    "train.common.backbone": "mobilenetv3_small_050",
    "train.common.weights": "none",
    "train.common.image_size": 32,
    "predict.batch_size": 16,
}
CROPS, LABELS, FOLDS = colored_people(8)
EVAL = 10  # photos, in one batch


@pytest.fixture
def members(tmp_path, monkeypatch, write_params):
    """The runs of a project with crops, labels, folds and four networks with random weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "code_fingerprint", lambda stage: "")
    write_params(tmp_path / "params.yaml", CHANGES)
    write_project(tmp_path, CROPS, LABELS, FOLDS, EVAL)
    p = params.load()
    model, found = p.model("mask"), runs.model_runs(p.matrix, "mask")
    for run in found:
        torch.manual_seed(10 * run.fold + run.seed)
        network = backbones.create(model, make_target(model).widths)
        inference.save(run.weights, network, model, p.crop)
    return found


def test_every_network_predicts_its_validation_people_and_the_evaluation_set(members):
    predict.main("mask")
    assert len({run.predictions.read_bytes() for run in members}) == len(members) == 4
    for run in members:
        table = pd.read_csv(run.predictions)
        rows = np.flatnonzero(run.fold == FOLDS)
        assert table.photo[table.set == "validation"].tolist() == LABELS.photo[rows].tolist()
        assert table.photo[table.set == "eval"].tolist() == LABELS.photo[:EVAL].tolist()
        model = inference.load(run.weights, torch.device("cpu"))
        expected, _ = model.predict(CROPS, rows[:16], params.load().predict)
        actual = table[model.target.task.columns].to_numpy()[:16]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_a_killed_stage_resumes_after_the_last_batch_of_all_networks(members, monkeypatch, capsys):
    predict.main("mask")
    expected = [run.predictions.read_bytes() for run in members]
    batches = -(-int((FOLDS == 0).sum()) // 16) + 1  # of a network: validation and evaluation
    for path in (*runs.RESUME.iterdir(), *(run.predictions for run in members)):
        path.unlink()
    predicted, calls = Model.predict, []

    def killed(*args, **kwargs):
        calls.append(1)
        if len(calls) == batches + 2:  # in the second network
            raise KeyboardInterrupt
        return predicted(*args, **kwargs)

    monkeypatch.setattr(Model, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        predict.main("mask")
    assert not any(run.predictions.exists() for run in members)
    calls[:] = [1] * 100
    predict.main("mask")
    assert [run.predictions.read_bytes() for run in members] == expected
    assert len(calls) - 100 == 4 * batches - (batches + 1), "nothing is predicted twice"
    assert f"{members[0]} eval: resuming from photo {EVAL} of {EVAL}" in capsys.readouterr().out
