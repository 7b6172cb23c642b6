"""Fit an ensemble on validation people: weights of the models, offsets of the classes, thresholds.

The models of a task vote, and the decision is shifted in favor of rare classes
(`portrait18.evaluation.decisions`). All of it is fitted on out-of-fold predictions. The reported
validation metrics are cross-fitted: for each fifth of the people everything is fitted on the other
four fifths, so that fitting can't inflate the score.
"""

from typing import NamedTuple

import numpy as np

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import ALL, TASKS, encode
from portrait18.dataset.confusion import macro_f1
from portrait18.evaluation import decisions
from portrait18.evaluation.ensemble_config import (
    EnsembleConfig,
    Stacking,
    TaskEnsemble,
    TaskPredictions,
    blend,
    hard_votes,
    joint_probabilities,
)

#: Params of an ensemble without anything fitted.
NOTHING_FITTED = {"vote": "soft", "weights": "equal", "decision": "argmax"}


def choose_weights(stack: np.ndarray, truth: np.ndarray, method: str) -> np.ndarray:
    """Return weights of the models, float (models,), at least 0, with sum 1.

    Args:
        stack: probabilities, float (models, N, C).
        truth: class indices, int (N,).
        method: `equal`; `log-loss` (convex: the optimum is found); `macro-f1` (grid search: the
            score is a step function, and with few people it follows noise).
    """
    count = len(stack)
    equal = np.full(count, 1 / count)
    if count == 1 or method == "equal":
        return equal
    if method == "log-loss":
        return _log_loss_weights(stack[:, np.arange(len(truth)), truth].clip(1e-7))

    def score(w: np.ndarray) -> float:
        return macro_f1(truth, blend(stack, w / w.sum()).argmax(1), stack.shape[2])

    weights = decisions.coordinate_ascent(equal, score, np.linspace(0.05, 1, 20))
    return _normalize(weights)


def _log_loss_weights(true_class: np.ndarray) -> np.ndarray:
    """Minimize the log loss; `true_class`: probabilities of the true class, float (models, N)."""
    from scipy.optimize import minimize  # takes a second to import, and few ensembles use it

    count = len(true_class)

    def loss(w: np.ndarray) -> float:
        return float(-np.log(w @ true_class).mean())

    def excess(w: np.ndarray) -> float:
        return w.sum() - 1

    found = minimize(
        loss,
        np.full(count, 1 / count),
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": excess},
        method="SLSQP",
    )
    # Further digits are the solver's and differ between machines.
    return _normalize(np.round(found.x.clip(0), 4))


def _normalize(sizes: np.ndarray) -> np.ndarray:
    """Scale sizes (models,), at least 0, to sum 1; equal weights if all are 0 or one is NaN."""
    total = sizes.sum()
    return sizes / total if total > 0 else np.full(len(sizes), 1 / len(sizes))


def fit_task(
    stack: np.ndarray, truth: np.ndarray, people: np.ndarray, params: EnsembleParams
) -> TaskEnsemble:
    """Fit the vote of a task's models, then the offsets of its classes.

    Args:
        stack: probabilities, float (models, N, C).
        truth: class indices, int (N,).
        people: whose photos they are, (N,). Offsets must gain more than resampling people would.
        params: the `ensemble` section.
    """
    if params.vote == "stacking" and len(np.unique(truth)) > 1:
        ensemble = _fit_stacking(stack, truth)
    elif params.vote == "hard":
        weights = choose_weights(hard_votes(stack), truth, params.weights)
        ensemble = TaskEnsemble("hard", weights, np.zeros(stack.shape[2]))
    else:
        weights = choose_weights(stack, truth, params.weights)
        ensemble = TaskEnsemble("soft", weights, np.zeros(stack.shape[2]))
    if params.decision == "offsets":
        probabilities = ensemble.probabilities(stack)
        return ensemble._replace(offsets=decisions.choose_offsets(probabilities, truth, people))
    return ensemble


def _fit_stacking(stack: np.ndarray, truth: np.ndarray) -> TaskEnsemble:
    from sklearn.linear_model import LogisticRegression  # takes seconds to import

    classes = stack.shape[2]
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(Stacking.features(stack), truth)
    size = np.abs(regression.coef_).reshape(len(regression.coef_), len(stack), classes).sum((0, 2))
    stacking = Stacking(regression.classes_, regression.coef_, regression.intercept_)
    return TaskEnsemble("stacking", _normalize(size), np.zeros(classes), stacking)


class ValidationVotes(NamedTuple):
    """Out-of-fold predictions of N validation photos, with the truth.

    Attributes:
        votes: task -> probabilities of its models, float (models, N, C).
        truth: task -> class indices, int (N,).
        people: whose photos they are, (N,).
        years: expected age, float (N,); required if `decision` is `thresholds`.
    """

    votes: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    people: np.ndarray
    years: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> "ValidationVotes":
        """Return the votes of some photos; `rows` is a mask, bool (N,)."""
        return ValidationVotes(
            {name: stack[:, rows] for name, stack in self.votes.items()},
            {name: truth[rows] for name, truth in self.truth.items()},
            self.people[rows],
            None if self.years is None else self.years[rows],
        )


def fit(data: ValidationVotes, params: EnsembleParams) -> EnsembleConfig:
    """Fit the ensemble of all tasks.

    Args:
        data: out-of-fold predictions to fit on.
        params: the `ensemble` section.
    """
    votes, truth, people, years = data
    config = EnsembleConfig(
        {name: fit_task(votes[name], truth[name], people, params) for name in votes}
    )
    if params.decision == "joint":
        probabilities = joint_probabilities(config.predict(votes, years))
        joint = truth.get(ALL.name)
        if joint is None:
            joint = encode(*(truth[name] for name in TASKS))
        offsets = decisions.choose_offsets(probabilities, joint, people)
        return config._replace(joint_offsets=offsets)
    if params.decision == "thresholds":
        if years is None:
            raise ValueError("decision thresholds needs expected ages, but years is None")
        return config._replace(thresholds=decisions.choose_thresholds(years, truth["age"]))
    return config


def cross_fit(data: ValidationVotes, params: EnsembleParams) -> dict[str, TaskPredictions]:
    """Predict validation photos, each person's with an ensemble that was fitted on other people.

    Args:
        data: out-of-fold predictions.
        params: the `ensemble` section.
    """
    part = decisions.assign_parts(data.people)
    predictions = {
        name: TaskPredictions(np.empty(stack.shape[1:]), np.empty(len(part), np.int64))
        for name, stack in data.votes.items()
    }
    for p in np.unique(part):
        inside, outside = part == p, part != p
        if not outside.any():  # a single person: there is nobody else to fit on
            outside = inside
            params = params.model_copy(update=NOTHING_FITTED)
        config = fit(data.select(outside), params)
        selected = data.select(inside)
        for name, found in config.predict(selected.votes, selected.years).items():
            predictions[name].probabilities[inside] = found.probabilities
            predictions[name].predicted[inside] = found.predicted
    return predictions
