"""From the predictions of many models to one decision per photo, chosen on held-out people only.

A model's members (folds x seeds) are averaged; the models of a task vote; the decision is shifted to
make up for rare classes (`portrait18.evaluation.decisions`). All of it is chosen on held-out predictions. The held-out figures reported
are cross-fitted: for each fifth of the people everything is chosen on the other four fifths, so that
choosing cannot flatter the score.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from portrait18.core.params import EnsembleParams
from portrait18.dataset.classes import ALL, TASKS, Task, encode, joint, marginals
from portrait18.evaluation import decisions
from portrait18.evaluation.ensemble_config import (
    Answer,
    Ensemble,
    EnsembleConfig,
    Stacking,
    Votes,
    blend,
    by_task,
    hard_votes,
    joint_probabilities,
)


def average(members: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of one model's members over (set, photo): held-out photos stand in some of them, eval photos in all."""
    return pd.concat(members).groupby(["set", "photo"], sort=True).mean()


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
        weights = np.round(
            found.x.clip(0), 4
        )  # digits beyond these are the solver's, and differ between machines
        return weights / weights.sum()

    def score(w):
        return decisions.fast_macro_f1(truth, blend(stack, w / w.sum()).argmax(1), stack.shape[2])

    weights = decisions.climb(equal, score, np.linspace(0.05, 1, 20))
    return weights / weights.sum()


def choose(votes: Votes, people: np.ndarray, params: EnsembleParams) -> EnsembleConfig:
    """How the models of a task vote, then the offsets of what comes out.

    Args:
        people: (N,) whose photos they are; offsets must pay off beyond what drawing other people would change.
    """
    stack, truth = votes
    if params.vote == "stacking" and len(np.unique(truth)) > 1:
        choice = _stacked(stack, truth)
    else:
        how = "hard" if params.vote == "hard" else "soft"
        weights = choose_weights(
            hard_votes(stack) if how == "hard" else stack, truth, params.weights
        )
        choice = EnsembleConfig(how, weights, np.zeros(stack.shape[2]))
    if params.decision == "offsets":
        return choice._replace(
            offsets=decisions.choose_offsets(choice.probabilities(stack), truth, people)
        )
    return choice


def _stacked(stack: np.ndarray, truth: np.ndarray) -> EnsembleConfig:
    classes = stack.shape[2]
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(Stacking.inputs(stack), truth)
    size = np.abs(regression.coef_).reshape(len(regression.coef_), len(stack), classes).sum((0, 2))
    stacking = Stacking(regression.classes_, regression.coef_, regression.intercept_)
    return EnsembleConfig("stacking", size / size.sum(), np.zeros(classes), stacking)


def fit(
    votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams
) -> Ensemble:
    """Choose all that `params` leaves open.

    Args:
        votes: task -> what the models say to it, with the truth.
        years: expected age (N,), for `decide: thresholds`.
        people: (N,).
    """
    choices = {name: choose(v, people, params) for name, v in votes.items()}
    ensemble = Ensemble(choices, None, None)
    if params.decision == "joint":
        answers = ensemble.answer(votes, years)
        truth = (
            votes[ALL.name].truth
            if ALL.name in votes
            else encode(*(votes[name].truth for name in TASKS))
        )
        return ensemble._replace(
            joint_offsets=decisions.choose_offsets(joint_probabilities(answers), truth, people)
        )
    if params.decision == "thresholds":
        return ensemble._replace(thresholds=decisions.choose_thresholds(years, votes["age"].truth))
    return ensemble


def cross_fit(
    votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams
) -> dict[str, Answer]:
    """Answers to held-out photos, each person's by what was chosen on other people."""
    part = decisions.parts(people)
    answers = {
        name: Answer(np.empty(v.stack.shape[1:]), np.empty(len(people), np.int64))
        for name, v in votes.items()
    }
    for p in np.unique(part):
        inside, outside = part == p, part != p
        if not outside.any():  # a single person: nobody else to choose on
            outside, params = (
                inside,
                EnsembleParams(vote="soft", weights="equal", decision="argmax"),
            )

        def years_of(rows: np.ndarray) -> np.ndarray | None:
            return None if years is None else years[rows]

        chosen = fit(
            {n: v.of(outside) for n, v in votes.items()}, years_of(outside), people[outside], params
        )
        found = chosen.answer({n: v.of(inside) for n, v in votes.items()}, years_of(inside))
        for name, answer in found.items():
            answers[name].probabilities[inside], answers[name].decided[inside] = answer
    return answers


def tasks_of(models: dict[str, pd.DataFrame]) -> list[Task]:
    """`[ALL]` where every model answers the 18 classes at once, else the three tasks."""
    return (
        [ALL] if all(ALL.columns[0] in table for table in models.values()) else list(TASKS.values())
    )


def probabilities_of(task: Task, table: pd.DataFrame) -> np.ndarray | None:
    """What a model says to a task, (N, C): its own columns, or the marginals of its 18; None if neither."""
    if task.columns[0] in table:
        return table[task.columns].to_numpy()
    if ALL.columns[0] in table:
        return marginals(table[ALL.columns].to_numpy())[task.name]
    return None


def assemble(
    answers: dict[str, Answer], photos: pd.Index, years: np.ndarray | None
) -> pd.DataFrame:
    """One table out of the answers to each task.

    Returns:
        photo, the probabilities of the three tasks, `years` where a model tells them, then the
        decisions: mask, gender, age (indices) and class (0..17).
    """
    table = pd.DataFrame({"photo": photos})
    if ALL.name in answers:
        table = table.assign(
            **dict(zip(ALL.columns, answers[ALL.name].probabilities.T, strict=True))
        )
    parts, decided = by_task(answers)
    for name, task in TASKS.items():
        table = table.assign(**dict(zip(task.columns, parts[name].T, strict=True)))
    if years is not None:
        table["years"] = years
    for name, task in TASKS.items():
        table[name] = decided // task.stride % len(task.classes)
    return table.assign(**{"class": decided})


def joint_of(table: pd.DataFrame) -> np.ndarray:
    """18-class probabilities (N, 18) of an assembled table."""
    if ALL.columns[0] in table:
        return table[ALL.columns].to_numpy()
    return joint(*(table[task.columns].to_numpy() for task in TASKS.values()))
