"""From the predictions of many models to one decision per photo, chosen on held-out people only.

A model's members (folds x seeds) are averaged; the models of a task vote; the decision is shifted to
make up for rare classes (`portrait18.decisions`). All of it is chosen on held-out predictions. The held-out figures reported
are cross-fitted: for each fifth of the people everything is chosen on the other four fifths, so that
choosing cannot flatter the score.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from portrait18 import decisions
from portrait18.classes import ALL, TASKS, Task, decode, encode, joint, marginals
from portrait18.params import EnsembleParams


class Votes(NamedTuple):
    """What the models say to one task, and the truth where it is known."""

    stack: np.ndarray  # (models, N, C) probabilities
    truth: np.ndarray | None = None  # int (N,)

    def of(self, rows: np.ndarray) -> "Votes":
        return Votes(self.stack[:, rows], None if self.truth is None else self.truth[rows])


class Answer(NamedTuple):
    """Probabilities (N, C) and decisions (N,) of one task."""

    probabilities: np.ndarray
    decided: np.ndarray


def average(members: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of one model's members over (set, photo): held-out photos stand in some of them, eval photos in all."""
    return pd.concat(members).groupby(["set", "photo"], sort=True).mean()


def blend(stack: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Soft vote: (models, N, C) and (models,) -> (N, C)."""
    return np.tensordot(weights, stack, 1)


def hard_votes(stack: np.ndarray) -> np.ndarray:
    """Each model's whole vote for its likeliest class; a hundredth of its probabilities, so that they settle ties."""
    return 0.99 * np.eye(stack.shape[2])[stack.argmax(2)] + 0.01 * stack


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
        return decisions.fast_macro_f1(truth, blend(stack, w / w.sum()).argmax(1), stack.shape[2])

    weights = decisions.climb(equal, score, np.linspace(0.05, 1, 20))
    return weights / weights.sum()


class Choice(NamedTuple):
    """What was chosen for one task."""

    vote: Callable[[np.ndarray], np.ndarray]  # (models, N, C) -> (N, C)
    weights: np.ndarray  # of the models; of a stacking, how much each moves the logits
    offsets: np.ndarray  # of the classes

    def answer(self, stack: np.ndarray) -> Answer:
        probabilities = self.vote(stack)
        return Answer(probabilities, decisions.decide(probabilities, self.offsets))


def choose(votes: Votes, people: np.ndarray, params: EnsembleParams) -> Choice:
    """How the models of a task vote, then the offsets of what comes out.

    Args:
        people: (N,) whose photos they are; offsets must pay off beyond what drawing other people would change.
    """
    stack, truth = votes
    if params.vote == "stacking" and len(np.unique(truth)) > 1:
        vote, weights = _stacking(stack, truth)
    else:
        voices = hard_votes if params.vote == "hard" else lambda stack: stack
        weights = choose_weights(voices(stack), truth, params.weights)

        def vote(stack: np.ndarray) -> np.ndarray:
            return blend(voices(stack), weights)

    offsets = np.zeros(stack.shape[2])
    if params.decide == "offsets":
        offsets = decisions.choose_offsets(vote(stack), truth, people)
    return Choice(vote, weights, offsets)


def _stacking(stack: np.ndarray, truth: np.ndarray) -> tuple[Callable, np.ndarray]:
    """Multinomial logistic regression over all models' log probabilities (Wolpert 1992)."""
    classes = stack.shape[2]

    def inputs(stack: np.ndarray) -> np.ndarray:
        return np.log(stack.clip(1e-4)).transpose(1, 0, 2).reshape(stack.shape[1], -1)

    regression = LogisticRegression(C=0.1, max_iter=1000).fit(inputs(stack), truth)

    def vote(stack: np.ndarray) -> np.ndarray:
        probabilities = np.full((stack.shape[1], classes), 1e-6)  # a class that nobody held out has is never seen
        probabilities[:, regression.classes_] = regression.predict_proba(inputs(stack))
        return probabilities / probabilities.sum(1, keepdims=True)

    size = np.abs(regression.coef_).reshape(len(regression.coef_), len(stack), classes).sum((0, 2))
    return vote, size / size.sum()


class Ensemble(NamedTuple):
    """All that was chosen: for each task, and over them."""

    choices: dict[str, Choice]
    joint_offsets: np.ndarray | None  # (18,), decide: joint
    borders: np.ndarray | None  # years, decide: borders

    def answer(self, votes: dict[str, Votes], years: np.ndarray | None) -> dict[str, Answer]:
        """Answer of each task to photos it may never have seen."""
        answers = {name: choice.answer(votes[name].stack) for name, choice in self.choices.items()}
        if self.joint_offsets is not None:
            decided = decisions.decide(_joint(answers), self.joint_offsets)
            parts = {ALL.name: decided} if ALL.name in answers else decode(decided)
            answers = {name: Answer(a.probabilities, parts[name]) for name, a in answers.items()}
        if self.borders is not None:
            answers["age"] = Answer(answers["age"].probabilities, np.digitize(years, self.borders))
        return answers


def _joint(answers: dict[str, Answer]) -> np.ndarray:
    if ALL.name in answers:
        return answers[ALL.name].probabilities
    return joint(*(answers[name].probabilities for name in TASKS))


def fit(votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams) -> Ensemble:
    """Choose all that `params` leaves open.

    Args:
        votes: task -> what the models say to it, with the truth.
        years: expected age (N,), for `decide: borders`.
        people: (N,).
    """
    choices = {name: choose(v, people, params) for name, v in votes.items()}
    ensemble = Ensemble(choices, None, None)
    if params.decide == "joint":
        answers = ensemble.answer(votes, years)
        truth = votes[ALL.name].truth if ALL.name in votes else encode(*(votes[name].truth for name in TASKS))
        return ensemble._replace(joint_offsets=decisions.choose_offsets(_joint(answers), truth, people))
    if params.decide == "borders":
        return ensemble._replace(borders=decisions.choose_borders(years, votes["age"].truth))
    return ensemble


def cross_fit(
    votes: dict[str, Votes], years: np.ndarray | None, people: np.ndarray, params: EnsembleParams
) -> dict[str, Answer]:
    """Answers to held-out photos, each person's by what was chosen on other people."""
    part = decisions.parts(people)
    answers = {name: Answer(np.empty(v.stack.shape[1:]), np.empty(len(people), np.int64)) for name, v in votes.items()}
    for p in np.unique(part):
        inside, outside = part == p, part != p
        if not outside.any():  # a single person: nobody else to choose on
            outside, params = inside, EnsembleParams(vote="soft", weights="equal", decide="argmax")

        def years_of(rows: np.ndarray) -> np.ndarray | None:
            return None if years is None else years[rows]

        chosen = fit({n: v.of(outside) for n, v in votes.items()}, years_of(outside), people[outside], params)
        found = chosen.answer({n: v.of(inside) for n, v in votes.items()}, years_of(inside))
        for name, answer in found.items():
            answers[name].probabilities[inside], answers[name].decided[inside] = answer
    return answers


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


def assemble(answers: dict[str, Answer], photos: pd.Index, years: np.ndarray | None) -> pd.DataFrame:
    """One table out of the answers to each task.

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
