"""What an ensemble chose on held-out people, as plain numbers: how it answers, and how it is written and read again."""

from typing import Any, Literal, NamedTuple

import numpy as np

from portrait18.dataset.classes import ALL, TASKS, decode, encode, joint, marginals
from portrait18.evaluation import decisions


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


def blend(stack: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Soft vote: (models, N, C) and (models,) -> (N, C)."""
    return np.tensordot(weights, stack, 1)


def hard_votes(stack: np.ndarray) -> np.ndarray:
    """Each model's whole vote for its likeliest class; a hundredth of its probabilities, so that they settle ties."""
    return 0.99 * np.eye(stack.shape[2])[stack.argmax(2)] + 0.01 * stack


class Stacking(NamedTuple):
    """A multinomial logistic regression over all models' log probabilities (Wolpert 1992)."""

    seen: np.ndarray  # int (K,): classes that somebody held out has; the others are never answered
    coefficients: (
        np.ndarray
    )  # (K, models * C); for K = 2 one row, how the second class stands to the first
    intercepts: np.ndarray  # (K,) or (1,)

    @staticmethod
    def inputs(stack: np.ndarray) -> np.ndarray:
        """(models, N, C) -> (N, models * C)."""
        return np.log(stack.clip(1e-4)).transpose(1, 0, 2).reshape(stack.shape[1], -1)

    def vote(self, stack: np.ndarray) -> np.ndarray:
        """(models, N, C) -> (N, C)."""
        logits = self.inputs(stack) @ self.coefficients.T + self.intercepts
        if len(self.seen) == 2:
            logits = np.hstack([np.zeros_like(logits), logits])
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = np.full(stack.shape[1:], 1e-6)
        probabilities[:, self.seen] = powers / powers.sum(1, keepdims=True)
        return probabilities / probabilities.sum(1, keepdims=True)


class EnsembleConfig(NamedTuple):
    """What was chosen for one task."""

    vote: Literal["soft", "hard", "stacking"]
    weights: np.ndarray  # of the models; of a stacking, how much each moves the logits
    offsets: np.ndarray  # of the classes
    stacking: Stacking | None = None

    def probabilities(self, stack: np.ndarray) -> np.ndarray:
        """(models, N, C) -> (N, C)."""
        if self.stacking is not None:
            return self.stacking.vote(stack)
        return blend(hard_votes(stack) if self.vote == "hard" else stack, self.weights)

    def answer(self, stack: np.ndarray) -> Answer:
        probabilities = self.probabilities(stack)
        return Answer(probabilities, decisions.decide(probabilities, self.offsets))


class Ensemble(NamedTuple):
    """All that was chosen: for each task, and over them."""

    choices: dict[str, EnsembleConfig]
    joint_offsets: np.ndarray | None  # (18,), decide: joint
    thresholds: np.ndarray | None  # years, decide: thresholds

    def answer(self, votes: dict[str, Votes], years: np.ndarray | None) -> dict[str, Answer]:
        """Answer of each task to photos it may never have seen."""
        answers = {name: choice.answer(votes[name].stack) for name, choice in self.choices.items()}
        if self.joint_offsets is not None:
            decided = decisions.decide(joint_probabilities(answers), self.joint_offsets)
            parts = {ALL.name: decided} if ALL.name in answers else decode(decided)
            answers = {name: Answer(a.probabilities, parts[name]) for name, a in answers.items()}
        if self.thresholds is not None:
            answers["age"] = Answer(
                answers["age"].probabilities, np.digitize(years, self.thresholds)
            )
        return answers


def joint_probabilities(answers: dict[str, Answer]) -> np.ndarray:
    """18-class probabilities (N, 18) of the answers to the three tasks, or of the one answer to all."""
    if ALL.name in answers:
        return answers[ALL.name].probabilities
    return joint(*(answers[name].probabilities for name in TASKS))


def by_task(answers: dict[str, Answer]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Probabilities of the three tasks, (N, C) each, and the decided class numbers, int (N,)."""
    if ALL.name in answers:
        probabilities, decided = answers[ALL.name]
        return marginals(probabilities), decided
    parts = {name: answers[name].probabilities for name in TASKS}
    return parts, encode(*(answers[name].decided for name in TASKS))


def to_json(ensemble: Ensemble, models: dict[str, list[str]]) -> dict[str, Any]:
    """Everything that was chosen, with all its digits.

    Args:
        models: task -> names of the models that vote on it, in the order of their weights.
    """

    def plain(value):
        return value.tolist() if isinstance(value, np.ndarray) else value

    tasks = {}
    for name, choice in ensemble.choices.items():
        stacking = choice.stacking and {k: plain(v) for k, v in choice.stacking._asdict().items()}
        tasks[name] = {
            "models": models[name],
            **{k: plain(v) for k, v in choice._asdict().items()},
            "stacking": stacking,
        }
    return {
        "tasks": tasks,
        "joint_offsets": plain(ensemble.joint_offsets),
        "thresholds": plain(ensemble.thresholds),
    }


def from_json(value: dict[str, Any]) -> tuple[Ensemble, dict[str, list[str]]]:
    """The ensemble that `to_json` wrote, and task -> its models."""

    def array(numbers):
        return None if numbers is None else np.array(numbers)

    choices = {}
    for name, task in value["tasks"].items():
        stacking = task["stacking"] and Stacking(
            **{k: np.array(v) for k, v in task["stacking"].items()}
        )
        choices[name] = EnsembleConfig(
            task["vote"], array(task["weights"]), array(task["offsets"]), stacking
        )
    models = {name: task["models"] for name, task in value["tasks"].items()}
    return Ensemble(choices, array(value["joint_offsets"]), array(value["thresholds"])), models
