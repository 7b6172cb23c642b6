"""Fit an ensemble on validation people: weights of the models, offsets of the classes, thresholds.

The models of a task vote, and the decision is shifted in favor of rare classes
(`portrait18.evaluation.decisions`). All of it is fitted on out-of-fold predictions. The reported
validation metrics are cross-fitted: for each fifth of the people everything is fitted on the other
four fifths, so that fitting can't inflate the score.
"""

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import ALL, TASKS, encode
from portrait18.evaluation import decisions
from portrait18.evaluation.ensemble_config import (
    EnsembleConfig,
    Stacking,
    TaskEnsemble,
    TaskPredictions,
    Votes,
    blend,
    hard_votes,
    joint_probabilities,
)


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

    def score(w):
        return decisions.fast_macro_f1(truth, blend(stack, w / w.sum()).argmax(1), stack.shape[2])

    weights = decisions.climb(equal, score, np.linspace(0.05, 1, 20))
    return weights / weights.sum()


def _log_loss_weights(true_class: np.ndarray) -> np.ndarray:
    """Minimize the log loss; `true_class`: probabilities of the true class, float (models, N)."""
    count = len(true_class)

    def loss(w):
        return -np.log(w @ true_class).mean()

    found = minimize(
        loss,
        np.full(count, 1 / count),
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
    )
    # Further digits are the solver's and differ between machines.
    weights = np.round(found.x.clip(0), 4)
    return weights / weights.sum()


def fit_task(votes: Votes, people: np.ndarray, params: EnsembleParams) -> TaskEnsemble:
    """Fit the vote of a task's models, then the offsets of its classes.

    Args:
        votes: probabilities with the truth.
        people: whose photos they are, (N,). Offsets must gain more than a resampling of people would.
        params: the `ensemble` section.
    """
    stack, truth = votes
    if params.vote == "stacking" and len(np.unique(truth)) > 1:
        ensemble = _fit_stacking(stack, truth)
    else:
        vote = "hard" if params.vote == "hard" else "soft"
        voting = hard_votes(stack) if vote == "hard" else stack
        weights = choose_weights(voting, truth, params.weights)
        ensemble = TaskEnsemble(vote, weights, np.zeros(stack.shape[2]))
    if params.decision == "offsets":
        probabilities = ensemble.probabilities(stack)
        return ensemble._replace(offsets=decisions.choose_offsets(probabilities, truth, people))
    return ensemble


def _fit_stacking(stack: np.ndarray, truth: np.ndarray) -> TaskEnsemble:
    classes = stack.shape[2]
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(Stacking.features(stack), truth)
    size = np.abs(regression.coef_).reshape(len(regression.coef_), len(stack), classes).sum((0, 2))
    stacking = Stacking(regression.classes_, regression.coef_, regression.intercept_)
    return TaskEnsemble("stacking", size / size.sum(), np.zeros(classes), stacking)


def fit(
    votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams
) -> EnsembleConfig:
    """Fit the ensemble of all tasks.

    Args:
        votes: task -> probabilities of its models, with the truth.
        years: expected age, float (N,); only used if `decision` is `thresholds`.
        people: whose photos they are, (N,).
        params: the `ensemble` section.
    """
    config = EnsembleConfig({name: fit_task(v, people, params) for name, v in votes.items()})
    if params.decision == "joint":
        predictions = config.predict(votes, years)
        if ALL.name in votes:
            truth = votes[ALL.name].truth
        else:
            truth = encode(*(votes[name].truth for name in TASKS))
        offsets = decisions.choose_offsets(joint_probabilities(predictions), truth, people)
        return config._replace(joint_offsets=offsets)
    if params.decision == "thresholds":
        return config._replace(thresholds=decisions.choose_thresholds(years, votes["age"].truth))
    return config


def cross_fit(
    votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams
) -> dict[str, TaskPredictions]:
    """Predict validation photos, each person's with an ensemble that was fitted on other people.

    Args and types as for `fit`.
    """
    part = decisions.parts(people)
    predictions = {
        name: TaskPredictions(np.empty(v.stack.shape[1:]), np.empty(len(people), np.int64))
        for name, v in votes.items()
    }
    for p in np.unique(part):
        inside, outside = part == p, part != p
        if not outside.any():  # a single person: there is nobody else to fit on
            outside = inside
            params = EnsembleParams(vote="soft", weights="equal", decision="argmax")

        def years_of(rows: np.ndarray) -> np.ndarray | None:
            return None if years is None else years[rows]

        others = {n: v.select(outside) for n, v in votes.items()}
        fitted = fit(others, years_of(outside), people[outside], params)
        found = fitted.predict({n: v.select(inside) for n, v in votes.items()}, years_of(inside))
        for name, (probabilities, predicted) in found.items():
            predictions[name].probabilities[inside] = probabilities
            predictions[name].predicted[inside] = predicted
    return predictions
