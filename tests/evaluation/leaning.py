"""Random probabilities for tests of votes."""

import numpy as np


def lean_towards(truth, strength, seed, classes=3):
    """Probabilities (N, classes) that lean towards the truth."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(truth), classes))
    logits[np.arange(len(truth)), truth] += strength
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
