"""From probabilities to a decision that macro-F1 likes: offsets for rare classes, thresholds between years."""

import numpy as np

_GRID = np.linspace(-1.0, 1.0, 21)  # steps of 0.1 in log probability
PARTS = (
    5  # people are cut in so many parts wherever something is chosen on some and judged on others
)
_DRAWS = 200  # bootstrap draws of people


def decide(probabilities: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Argmax of log probability + offset, int (N,)."""
    return (np.log(probabilities.clip(1e-7)) + offsets).argmax(1)


def choose_offsets(probabilities: np.ndarray, truth: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Offset of each class, (C,), the first 0, that raise macro-F1, by going over a grid class by class.

    All are zero unless offsets chosen on four fifths of the people gain on the last fifth, in turn, by
    more than the standard error of that gain: with few people the best offsets follow noise.

    Args:
        probabilities: (N, C).
        truth: int (N,).
        people: (N,) whose photos they are: all photos of a person are drawn together.
    """
    count = probabilities.shape[1]
    zero = np.zeros(count)
    part = parts(people)
    if part.max() == 0:
        return zero
    unseen = np.empty(len(truth), np.int64)
    for p in range(part.max() + 1):
        unseen[part == p] = decide(
            probabilities[part == p],
            _best_offsets(probabilities[part != p], truth[part != p], count),
        )
    gains = _gains(truth, decide(probabilities, zero), unseen, people, count)
    return _best_offsets(probabilities, truth, count) if gains.mean() > gains.std() else zero


def _best_offsets(probabilities: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    logs = np.log(probabilities.clip(1e-7))

    def score(offsets: np.ndarray) -> float:
        # A hair against the size of the shift: among equal scores the smallest change wins.
        return (
            fast_macro_f1(truth, (logs + offsets).argmax(1), count) - 1e-3 * np.abs(offsets).sum()
        )

    return climb(np.zeros(count), score, _GRID, first=1)


def parts(people: np.ndarray) -> np.ndarray:
    """Cut people into `PARTS` parts of equal size (fewer people: one each); number of each photo's part, int (N,)."""
    names, person = np.unique(people, return_inverse=True)
    return np.random.default_rng(0).permutation(len(names))[person] % min(PARTS, len(names))


def choose_thresholds(years: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The two thresholds in years, at half-years, at which cutting expected ages (N,) gives the best macro-F1."""
    best, best_score = np.array([29.5, 59.5]), -1.0
    for low in np.arange(22.0, 40.0, 0.5):
        for high in np.arange(45.0, 66.0, 0.5):
            score = fast_macro_f1(truth, np.digitize(years, [low, high]), 3)
            # Of equal scores the thresholds nearest to the true ones.
            score -= 1e-5 * (abs(low - 29.5) + abs(high - 59.5))
            if score > best_score:
                best, best_score = np.array([low, high]), score
    return best


def climb(
    start: np.ndarray, score, grid: np.ndarray, first: int = 0, rounds: int = 3
) -> np.ndarray:
    """Coordinate ascent over a grid; deterministic."""
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


def fast_macro_f1(truth: np.ndarray, predicted: np.ndarray, count: int) -> float:
    """`portrait18.models.metrics.macro_f1` for the thousands of times that a search asks."""
    return float(
        _f1(np.bincount(truth * count + predicted, minlength=count * count).reshape(count, count))
    )


def _f1(confusion: np.ndarray) -> np.ndarray:
    """Macro-F1 of confusion matrices (..., C, C), rows the truth."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return (2 * hits / np.maximum(confusion.sum(-1) + confusion.sum(-2), 1)).mean(-1)


def _gains(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, people: np.ndarray, count: int
) -> np.ndarray:
    """Gain in macro-F1 from one decision to another, on bootstrap draws of the people, (draws,)."""
    names, person = np.unique(people, return_inverse=True)
    # How often each person is drawn: the confusion matrix of a draw is the sum of theirs.
    times = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), _DRAWS
    )

    def drawn(decided: np.ndarray) -> np.ndarray:
        of_person = np.zeros((len(names), count * count))
        np.add.at(of_person, (person, truth * count + decided), 1)
        return _f1((times @ of_person).reshape(_DRAWS, count, count))

    return drawn(after) - drawn(before)
