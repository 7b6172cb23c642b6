"""Trainings of seconds for the tests; the fixture is named in conftest.py."""

import itertools

import pytest
import torch
from tiny import colored_people, mix, model_params, sampling

from portrait18.core.runs import Run
from portrait18.training import loop

CROPS, LABELS, FOLD_OF = colored_people()
HELD_OUT = FOLD_OF == 0
LEARNS = {"epochs": 6, "ema": 0.9}
#: Everything that draws at random, so that what is the same does not happen to be so.
RANDOM = {
    "epochs": 3,
    "ema": 0.9,
    "dropout": 0.3,
    "drop_path": 0.1,
    "sampling": sampling(balance=0.5, per_person=5),
    "mix": mix(method="cutmix", probability=0.5),
}


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """fit(model=, fold=, seed=, crops=, labels=, log=, **params) -> network, history; an equal model resumes."""
    monkeypatch.chdir(tmp_path)
    fresh = (f"model{n}" for n in itertools.count())

    def run(
        model=None, fold=0, seed=0, crops=CROPS, labels=LABELS, log=lambda row: None, **changes
    ):
        run = Run(model or next(fresh), fold, seed)
        return loop.fit(crops, labels, FOLD_OF, model_params(**changes), run, log)

    return run


def same(one, other):
    """Whether two trained networks have the same bits."""
    pairs = zip(one[0].state_dict().items(), other[0].state_dict().items(), strict=True)
    return all(k == j and torch.equal(v, w) for (k, v), (j, w) in pairs)
