"""Heads and targets without PyTorch equal those of PyTorch."""

import numpy as np
import pytest
import torch
from tiny import model_params

from portrait18.models import frozen
from portrait18.models.frozen import StandardizedHead
from portrait18.models.heads import HEADS
from portrait18.models.numpy_heads import HEADS as NUMPY_HEADS
from portrait18.models.numpy_heads import TARGETS as NUMPY_TARGETS
from portrait18.models.numpy_heads import YEARS, NumpyHead
from portrait18.models.targets import TARGETS, make_target

FEATURES = 24
HEAD_PARAMS = {
    "linear": "linear",
    "linear-ridge": {"name": "linear-ridge", "penalty": 1.0},
    "cosine": {"name": "cosine", "scale": 8.0},
    "unit": {"name": "unit", "scale": 5.0},
    "mlp": {"name": "mlp", "width": 16, "depth": 2},
    "ridge": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
    "kernel": {"name": "kernel", "gamma": 0.7, "C": 1.0, "landmarks": 9},
}
TARGET_PARAMS = {
    "classes": {"task": "mask"},
    "heads": {"task": "all", "target": "heads"},
    "bins": {"task": "age", "target": {"name": "bins", "edges": [25, 30, 45, 60, 70]}},
    "value": {"task": "age", "target": "value", "loss": "gaussian"},
    "distribution": {"task": "age", "target": "distribution", "loss": "soft-cross-entropy"},
    "rank": {"task": "age", "target": "rank", "loss": "cumulative"},
}


def check(params):
    """Compare both implementations of a random head."""
    target = make_target(params)
    torch.manual_seed(1)
    head = StandardizedHead(FEATURES, target.widths, params)
    rng = np.random.default_rng(0)
    features = rng.normal(1, 2, (7, 3, FEATURES)).astype(np.float16)
    head.fit(features[:, 0])
    if hasattr(head.head, "support"):
        head.head.support = torch.from_numpy(rng.normal(0, 1, (9, FEATURES))).half()
        head.head.coefficients = torch.from_numpy(
            rng.normal(0, 9, (9, len(head.head.bias)))
        ).float()
    else:  # weight and bias
        for values in [*head.head.parameters(), *head.head.buffers()][:2]:
            values.data.normal_(0, 0.4)
    expected = frozen.predict(head, target, features)
    state = {name: values.numpy() for name, values in head.state_dict().items()}
    found = NumpyHead(state, params)(features)
    assert np.ptp(expected[0], axis=0).max() > 0.05, "the photos must differ"
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", HEAD_PARAMS)
def test_heads(name):
    check(model_params(task="all", target="heads", head=HEAD_PARAMS[name]))


@pytest.mark.parametrize("name", TARGET_PARAMS)
def test_targets(name):
    check(model_params(**TARGET_PARAMS[name]))


def test_every_head_and_target_is_known():
    assert set(HEAD_PARAMS) == set(NUMPY_HEADS) == set(HEADS._entries)
    assert set(TARGET_PARAMS) == set(NUMPY_TARGETS) == set(TARGETS._entries)
    targets = {name: make_target(model_params(**params)) for name, params in TARGET_PARAMS.items()}
    assert {name for name, target in targets.items() if target.years} == set(YEARS)
