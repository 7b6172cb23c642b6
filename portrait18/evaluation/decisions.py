"""Decisions that raise macro-F1: offsets for rare classes, thresholds for expected ages."""

from collections.abc import Callable

import numpy as np

from portrait18.dataset.confusion import f1_scores, macro_f1

NUM_PARTS = 5  # parts of the people in cross-fitting
_OFFSET_GRID = np.linspace(-1.0, 1.0, 21)  # log probability, in steps of 0.1
_BOOTSTRAP_DRAWS = 200


def decide(probabilities: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the argmax of log probability + offset, int (N,).

    Args:
        probabilities: float (N, C).
        offsets: float (C,).
    """
    return (np.log(probabilities.clip(1e-7)) + offsets).argmax(1)


def choose_offsets(probabilities: np.ndarray, truth: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return offsets of the classes that raise macro-F1, float (C,); the first one is 0.

    They are found by coordinate ascent over a grid. All are 0 unless cross-fitted offsets (fitted
    on four fifths of the people, applied to the last fifth) gain more than the standard error of
    that gain: with few people, the best offsets follow noise.

    Args:
        probabilities: float (N, C).
        truth: class indices, int (N,).
        people: whose photos they are, (N,). All photos of a person are in the same part.
    """
    count = probabilities.shape[1]
    zero = np.zeros(count)
    part = assign_parts(people)
    if part.max() == 0:
        return zero
    cross_fitted = np.empty(len(truth), np.int64)
    for p in range(part.max() + 1):
        inside = part == p
        offsets = _best_offsets(probabilities[~inside], truth[~inside], count)
        cross_fitted[inside] = decide(probabilities[inside], offsets)
    gains = _bootstrap_gains(truth, decide(probabilities, zero), cross_fitted, people, count)
    return _best_offsets(probabilities, truth, count) if gains.mean() > gains.std() else zero


def _best_offsets(probabilities: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    logs = np.log(probabilities.clip(1e-7))

    def score(offsets: np.ndarray) -> float:
        # A small penalty: of equal scores the smallest offsets win.
        predicted = (logs + offsets).argmax(1)
        return macro_f1(truth, predicted, count) - 1e-3 * np.abs(offsets).sum()

    return coordinate_ascent(np.zeros(count), score, _OFFSET_GRID, first=1)


def assign_parts(people: np.ndarray) -> np.ndarray:
    """Return the part of each photo for cross-fitting, int (N,), with parts of equal size.

    There are `NUM_PARTS` parts, or one per person if there are fewer people.

    Args:
        people: whose photos they are, (N,).
    """
    names, person = np.unique(people, return_inverse=True)
    return np.random.default_rng(0).permutation(len(names))[person] % min(NUM_PARTS, len(names))


def choose_thresholds(years: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the two ages, float (2,), at which cutting expected ages gives the best macro-F1.

    Args:
        years: expected ages, float (N,).
        truth: age groups, int (N,).
    """
    best, best_score = np.array([29.5, 59.5]), -1.0
    for low in np.arange(22.0, 40.0, 0.5):
        for high in np.arange(45.0, 66.0, 0.5):
            score = macro_f1(truth, np.digitize(years, [low, high]), 3)
            # Of equal scores, the thresholds nearest to the true boundaries win.
            score -= 1e-5 * (abs(low - 29.5) + abs(high - 59.5))
            if score > best_score:
                best, best_score = np.array([low, high]), score
    return best


def coordinate_ascent(
    start: np.ndarray,
    score: Callable[[np.ndarray], float],
    grid: np.ndarray,
    first: int = 0,
    rounds: int = 3,
) -> np.ndarray:
    """Maximize `score` one coordinate at a time over a grid. Deterministic.

    Args:
        start: initial point, float (D,).
        score: function to maximize.
        grid: values that are tried for each coordinate.
        first: coordinates before this one stay fixed.
        rounds: passes over the coordinates at most; a pass without a gain is the last.
    """
    best, best_score = start, score(start)
    for _ in range(rounds):
        before = best_score
        for i in range(first, len(start)):
            for value in grid:
                tried = best.copy()
                tried[i] = value
                if (s := score(tried)) > best_score:
                    best, best_score = tried, s
        if best_score == before:
            break
    return best


def _bootstrap_gains(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, people: np.ndarray, count: int
) -> np.ndarray:
    """Gains in macro-F1 on bootstrap draws of the people, float (draws,)."""
    names, person = np.unique(people, return_inverse=True)
    uniform = np.full(len(names), 1 / len(names))
    times = np.random.default_rng(0).multinomial(len(names), uniform, _BOOTSTRAP_DRAWS)

    def scores(predicted: np.ndarray) -> np.ndarray:
        # The confusion matrix of a draw is the sum of those of the people drawn.
        by_person = np.zeros((len(names), count * count))
        np.add.at(by_person, (person, truth * count + predicted), 1)
        draws = (times @ by_person).reshape(_BOOTSTRAP_DRAWS, count, count)
        return f1_scores(draws).mean(-1)

    return scores(after) - scores(before)
