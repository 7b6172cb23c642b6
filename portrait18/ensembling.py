"""From the predictions of many models to one decision per task, chosen on held-out people only.

A model's members (folds x seeds) are averaged; the models of a task are blended with weights, and
the decision is shifted by offsets that make up for rare classes. Both are chosen on held-out
predictions. The held-out figures reported are cross-fitted: for each fifth of the people, weights and
offsets come from the other four fifths, so that choosing them cannot flatter the score.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from portrait18.classes import ALL, TASKS, Task, encode, joint, marginals
from portrait18.metrics import macro_f1
from portrait18.params import EnsembleParams

PARTS = 5  # people are cut in so many parts for cross-fitting
_GRID = np.linspace(-1.0, 1.0, 21)  # steps of 0.1 in log probability


class Choice(NamedTuple):
    """What is chosen on held-out people for one task: a weight for each model, an offset for each class."""

    weights: np.ndarray
    offsets: np.ndarray


def average(members: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of one model's members over (set, photo): held-out photos stand in some of them, eval photos in all."""
    return pd.concat(members).groupby(["set", "photo"], sort=True).mean()


def blend(stack: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Soft vote: (models, N, C) and (models,) -> (N, C)."""
    return np.tensordot(weights, stack, 1)


def decide(probabilities: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """argmax of log probability + offset, int (N,)."""
    return (np.log(probabilities.clip(1e-7)) + offsets).argmax(1)


def choose_weights(stack: np.ndarray, truth: np.ndarray, how: str) -> np.ndarray:
    """Weights of the models on the simplex.

    Args:
        stack: (models, N, C) probabilities.
        truth: int (N,).
        how: `equal`; `log-loss` (convex, so the best is found); `macro-f1` (a walk over a grid: the
            score has steps, and with few people it follows noise).
    """
    count = len(stack)
    equal = np.full(count, 1 / count)
    if count == 1 or how == "equal":
        return equal
    if how == "log-loss":
        of_truth = stack[:, np.arange(len(truth)), truth].clip(1e-7)

        def loss(w):
            return -np.log(w @ of_truth).mean()

        found = minimize(
            loss,
            equal,
            bounds=[(0, 1)] * count,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
        )
        weights = np.round(found.x.clip(0), 4)  # digits beyond these are the solver's, and differ between machines
        return weights / weights.sum()

    def score(w):
        return macro_f1(truth, blend(stack, w / w.sum()).argmax(1), stack.shape[2])

    weights = _climb(equal, score, np.linspace(0.05, 1, 20))
    return weights / weights.sum()


def choose_offsets(probabilities: np.ndarray, truth: np.ndarray, how: str) -> np.ndarray:
    """Offset of each class, (C,), the first 0: `none`, or `macro-f1` by going over a grid class by class."""
    count = probabilities.shape[1]
    zero = np.zeros(count)
    if how == "none":
        return zero

    def score(offsets):
        # A hair against the size of the shift: among equal scores the smallest change wins.
        return macro_f1(truth, decide(probabilities, offsets), count) - 1e-3 * np.abs(offsets).sum()

    return _climb(zero, score, _GRID, first=1)


def _climb(start: np.ndarray, score, grid: np.ndarray, first: int = 0, rounds: int = 3) -> np.ndarray:
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


def choose(stack: np.ndarray, truth: np.ndarray, params: EnsembleParams) -> Choice:
    """Weights, then offsets of the blend, on held-out predictions (models, N, C)."""
    weights = choose_weights(stack, truth, params.weights)
    return Choice(weights, choose_offsets(blend(stack, weights), truth, params.offsets))


def cross_fit(
    stack: np.ndarray, truth: np.ndarray, people: np.ndarray, params: EnsembleParams
) -> tuple[np.ndarray, np.ndarray]:
    """Blended probabilities (N, C) and decisions (N,), each person's with what was chosen on other people."""
    names, person = np.unique(people, return_inverse=True)
    part = np.random.default_rng(0).permutation(len(names))[person] % min(PARTS, len(names))
    probabilities, decided = np.empty(stack.shape[1:]), np.empty(len(truth), np.int64)
    for p in np.unique(part):
        inside, outside = part == p, part != p
        if not outside.any():  # a single person: nobody else to choose on
            outside, params = inside, EnsembleParams(weights="equal", offsets="none")
        choice = choose(stack[:, outside], truth[outside], params)
        probabilities[inside] = blend(stack[:, inside], choice.weights)
        decided[inside] = decide(probabilities[inside], choice.offsets)
    return probabilities, decided


def tasks_of(models: dict[str, pd.DataFrame]) -> list[Task]:
    """`[ALL]` where every model answers the 18 classes at once, else the three tasks."""
    return [ALL] if all(ALL.columns[0] in table for table in models.values()) else list(TASKS.values())


def probabilities_of(task: Task, table: pd.DataFrame) -> np.ndarray | None:
    """What a model says to a task, (N, C): its own columns, or the marginals of its 18; None if neither."""
    if task.columns[0] in table:
        return table[task.columns].to_numpy()
    if ALL.columns[0] in table:
        return marginals(table[ALL.columns].to_numpy())[task.name]
    return None


def assemble(
    answers: dict[str, tuple[np.ndarray, np.ndarray]], photos: pd.Index, years: np.ndarray | None
) -> pd.DataFrame:
    """One table out of the answers (probabilities, decisions) to each task.

    Returns:
        photo, the probabilities of the three tasks, `years` where a model tells them, then the
        decisions: mask, gender, age (indices) and class (0..17).
    """
    table = pd.DataFrame({"photo": photos})
    if ALL.name in answers:
        probabilities, decided = answers[ALL.name]
        parts = marginals(probabilities)
        table = table.assign(**dict(zip(ALL.columns, probabilities.T, strict=True)))
    else:
        parts = {name: probabilities for name, (probabilities, _) in answers.items()}
        decided = encode(*(answers[name][1] for name in TASKS))
    for name, task in TASKS.items():
        table = table.assign(**dict(zip(task.columns, parts[name].T, strict=True)))
    if years is not None:
        table["years"] = years
    for name, task in TASKS.items():
        table[name] = decided // task.weight % len(task.classes)
    return table.assign(**{"class": decided})


def joint_of(table: pd.DataFrame) -> np.ndarray:
    """18-class probabilities (N, 18) of an assembled table."""
    if ALL.columns[0] in table:
        return table[ALL.columns].to_numpy()
    return joint(*(table[task.columns].to_numpy() for task in TASKS.values()))
