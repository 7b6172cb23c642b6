"""Trainings that take seconds; conftest.py registers the fixture."""

import itertools

import pytest
import torch
from tiny import colored_people, mix, model_params, sampling

from portrait18.core.runs import Run
from portrait18.training import loop
from portrait18.training.data import TrainingData

CROPS, LABELS, FOLDS = colored_people()
VALIDATION = FOLDS == 0
LEARNS = {"epochs": 6, "ema_decay": 0.9}
#: Everything that draws at random, so that equal results are no coincidence.
RANDOM = {
    "epochs": 3,
    "ema_decay": 0.9,
    "dropout": 0.3,
    "drop_path": 0.1,
    "sampling": sampling(balance=0.5, per_person=5),
    "mix": mix("cutmix", probability=0.5),
}


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """fit(model=, fold=, seed=, crops=, labels=, log=, code=, **params) -> network, history.

    A second call with the same model name resumes the first.
    """
    monkeypatch.chdir(tmp_path)
    fresh = (f"model{n}" for n in itertools.count())

    def run(
        model=None,
        fold=0,
        seed=0,
        crops=CROPS,
        labels=LABELS,
        log=lambda row: None,
        code="",
        **changes,
    ):
        run = Run(model or next(fresh), fold, seed)
        return loop.fit(TrainingData(crops, labels, FOLDS), model_params(**changes), run, log, code)

    return run


def same(one, other):
    """Return whether two results of `fit` have networks with the same bits."""
    pairs = zip(one[0].state_dict().items(), other[0].state_dict().items(), strict=True)
    return all(k == j and torch.equal(v, w) for (k, v), (j, w) in pairs)
