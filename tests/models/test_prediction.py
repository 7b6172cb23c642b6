from functools import partial

import numpy as np
import pytest
import torch
from tiny import crop_params, model_params

from portrait18.core.journal import Journal
from portrait18.core.params import PredictParams
from portrait18.core.runs import Run
from portrait18.models import prediction
from portrait18.models.inference import Model
from portrait18.models.targets import make_target

CROPS = np.random.default_rng(0).integers(0, 256, (11, 40, 40, 3), np.uint8)
ROWS = np.array([4, 0, 8, 3, 3, 10, 7])
PREDICT = PredictParams(batch_size=2, flip=True, tta_scales=[1.0, 0.9])
VIEWS = 4  # two scales, each with its mirror image


class Counting(torch.nn.Module):
    """Outputs from the crop's first row. Counts photos, and is interrupted at number `stop_at`."""

    def __init__(self, outputs, stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, 3 * outputs).reshape(3, outputs))
        self.seen, self.stop_at = 0, stop_at

    def forward(self, photos):
        if self.stop_at is not None and self.seen >= self.stop_at:
            raise KeyboardInterrupt
        self.seen += len(photos)
        return photos[:, :, 0].float().mean(2) / 99 @ self.weight


PARAMS = [
    model_params(image_size=32),
    model_params(task="age", target="value", loss="gaussian", image_size=32),
]


def make_model(params, stop_at=None) -> Model:
    target = make_target(params)
    return Model(Counting(sum(target.widths), stop_at), target, params, crop_params())


def predict(model: Model, journal: Journal):
    predict_rows = partial(model.predict, CROPS, params=PREDICT)
    return prediction.predict(predict_rows, ROWS, PREDICT.batch_size, journal)


@pytest.mark.parametrize("params", PARAMS, ids=["classes", "years"])
@pytest.mark.parametrize("stop_at", [0, 2, 4])
def test_an_interrupted_run_resumes_after_its_last_batch_with_the_same_bytes(
    tmp_path, params, stop_at
):
    expected = make_model(params).predict(CROPS, ROWS, PREDICT)
    path = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        predict(make_model(params, stop_at * VIEWS), Journal(path, "same"))
    journal, model = Journal(path, "same"), make_model(params)
    assert len(journal.pieces) == stop_at // 2
    actual = predict(model, journal)
    assert model.network.seen == (7 - stop_at) * VIEWS
    for part, expected_part in zip(actual, expected, strict=True):
        assert (part is None) == (expected_part is None)
        if part is not None:
            assert part.dtype == expected_part.dtype == np.float32
            assert part.tobytes() == expected_part.tobytes()


def test_a_complete_journal_needs_no_network(tmp_path):
    path = tmp_path / "journal.jsonl"
    first, _ = predict(make_model(PARAMS[0]), Journal(path, "same"))
    again, _ = predict(make_model(PARAMS[0], stop_at=0), Journal(path, "same"))
    assert (again == first).all()


def test_every_run_and_split_has_its_own_journal():
    runs = [
        Run("mask", 0, 0),
        Run("mask", 0, 1),
        Run("mask", 1, 0),
        Run("gender", 0, 0),
        Run("mask", 0, 0, 2),
    ]
    paths = {run.journal(split) for run in runs for split in ("train", "eval")}
    assert len(paths) == 10
    assert {path.parent.name for path in paths} == {".resume"}
