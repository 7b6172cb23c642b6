import numpy as np
import pytest
import torch
from tiny import crop_params, model_params

from portrait18.core.journal import Journal
from portrait18.core.params import PredictParams
from portrait18.core.runs import Run
from portrait18.models import inference, prediction, targets
from portrait18.models.inference import Model

CROPS = np.random.default_rng(0).integers(0, 256, (11, 40, 40, 3), np.uint8)
ROWS = np.array([4, 0, 8, 3, 3, 10, 7])
HOW = PredictParams(batch_size=2, flip=True, tta_scales=[1.0, 0.9])


class Counting(torch.nn.Module):
    """Outputs from the crop's first row; `seen` counts the photos, and a kill comes before photo `stop_at`."""

    def __init__(self, outputs, stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, 3 * outputs).reshape(3, outputs))
        self.seen, self.stop_at = 0, stop_at

    def forward(self, photos):
        if self.stop_at is not None and self.seen >= self.stop_at:
            raise KeyboardInterrupt
        self.seen += len(photos)
        return photos[:, :, 0].float().mean(2) / 99 @ self.weight


VIEWS = 4  # two tta_scales, each mirrored
PARAMS = [
    model_params(image_size=32),
    model_params(task="age", target="value", loss="gaussian", image_size=32),
]


def model(params, **how) -> Model:
    target = targets.make(params)
    return Model(Counting(sum(target.widths), **how), target, params, crop_params())


@pytest.mark.parametrize("params", PARAMS, ids=["classes", "years"])
@pytest.mark.parametrize("stop_at", [0, 2, 4])
def test_a_killed_run_goes_on_after_its_last_batch_with_the_same_bytes(tmp_path, params, stop_at):
    whole = model(params)
    expected = inference.predict(whole.network, whole.target, CROPS, ROWS, 32, 2, True, [1.0, 0.9])
    path = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        prediction.predict(
            Journal(path, "same"), model(params, stop_at=stop_at * VIEWS), CROPS, ROWS, HOW
        )
    journal, rest = Journal(path, "same"), model(params)
    assert len(journal.pieces) == stop_at // 2
    found = prediction.predict(journal, rest, CROPS, ROWS, HOW)
    assert rest.network.seen == (7 - stop_at) * VIEWS
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours.dtype == theirs.dtype == np.float32
            assert ours.tobytes() == theirs.tobytes()


def test_a_journal_that_is_whole_needs_no_network(tmp_path):
    path, trained = tmp_path / "journal.jsonl", model(PARAMS[0])
    first = prediction.predict(Journal(path, "same"), trained, CROPS, ROWS, HOW)
    dead = model(PARAMS[0], stop_at=0)
    assert (prediction.predict(Journal(path, "same"), dead, CROPS, ROWS, HOW)[0] == first[0]).all()


def test_every_run_and_set_has_a_journal_of_its_own():
    runs = [
        Run("mask", 0, 0),
        Run("mask", 0, 1),
        Run("mask", 1, 0),
        Run("gender", 0, 0),
        Run("mask", 0, 0, True),
    ]
    paths = {run.journal(which) for run in runs for which in ("train", "eval")}
    assert len(paths) == 10
    assert {path.parent.name for path in paths} == {".resume"}
