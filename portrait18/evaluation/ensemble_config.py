"""Configuration of a fitted ensemble: how it combines probabilities, and its JSON form.

`portrait18.evaluation.ensembling` fits it on validation people, the stage `ensemble` writes it, and
bundles carry it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from portrait18.dataset.classes import ALL, TASKS, decode, encode, joint, marginals
from portrait18.evaluation import decisions


class TaskPredictions(NamedTuple):
    """Predictions of the ensemble for one task.

    Attributes:
        probabilities: float (N, C).
        predicted: class indices, int (N,).
    """

    probabilities: np.ndarray
    predicted: np.ndarray


def blend(stack: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (soft vote), float (N, C), of a stack (models, N, C)."""
    return np.tensordot(weights, stack, 1)


def hard_votes(stack: np.ndarray) -> np.ndarray:
    """Return each model's vote for its most probable class, float (models, N, C).

    A hundredth of the probabilities is mixed in, so that they break ties.
    """
    return 0.99 * np.eye(stack.shape[2])[stack.argmax(2)] + 0.01 * stack


class Stacking(NamedTuple):
    """Multinomial logistic regression on all models' log probabilities (Wolpert 1992).

    Attributes:
        classes: classes that some validation person has, int (K,); others are never predicted.
        coefficients: float (K, models * C); one row if K = 2, for the log-odds of the second class.
        intercepts: float (K,), or (1,) if K = 2.
    """

    classes: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray

    @staticmethod
    def features(stack: np.ndarray) -> np.ndarray:
        """Return the features of a stack (models, N, C), float (N, models * C)."""
        return np.log(stack.clip(1e-4)).transpose(1, 0, 2).reshape(stack.shape[1], -1)

    def probabilities(self, stack: np.ndarray) -> np.ndarray:
        """Return probabilities, float (N, C), for a stack (models, N, C)."""
        logits = self.features(stack) @ self.coefficients.T + self.intercepts
        if len(self.classes) == 2:
            logits = np.hstack([np.zeros_like(logits), logits])
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = np.full(stack.shape[1:], 1e-6)
        probabilities[:, self.classes] = powers / powers.sum(1, keepdims=True)
        return probabilities / probabilities.sum(1, keepdims=True)


class TaskEnsemble(NamedTuple):
    """Fitted ensemble of one task.

    Attributes:
        vote: how the models are combined.
        weights: weight of each model, float (models,); in a stacking, its share of coefficients.
        offsets: added to the log probability of each class before the argmax, float (C,).
        stacking: the regression if `vote` is `stacking`, else None.
    """

    vote: Literal["soft", "hard", "stacking"]
    weights: np.ndarray
    offsets: np.ndarray
    stacking: Stacking | None = None

    def probabilities(self, stack: np.ndarray) -> np.ndarray:
        """Return probabilities, float (N, C), for a stack (models, N, C)."""
        if self.stacking is not None:
            return self.stacking.probabilities(stack)
        return blend(hard_votes(stack) if self.vote == "hard" else stack, self.weights)

    def predict(self, stack: np.ndarray) -> TaskPredictions:
        """Return the predictions for a stack (models, N, C)."""
        probabilities = self.probabilities(stack)
        return TaskPredictions(probabilities, decisions.decide(probabilities, self.offsets))


class EnsembleConfig(NamedTuple):
    """Fitted ensemble of all tasks.

    Attributes:
        tasks: name of a task -> its ensemble; the three tasks, or `all` alone.
        joint_offsets: offsets of the 18 classes, float (18,), if `decision` is `joint`, else None.
        thresholds: two ages in years, float (2,), if `decision` is `thresholds`, else None.
        temperatures: model -> its temperature (`portrait18.evaluation.temperature`); 1 if missing.
            `predict` expects votes to which `temperature.scale_models` was applied.
    """

    tasks: dict[str, TaskEnsemble]
    joint_offsets: np.ndarray | None = None
    thresholds: np.ndarray | None = None
    temperatures: Mapping[str, float] = MappingProxyType({})

    def predict(
        self, votes: dict[str, np.ndarray], years: np.ndarray | None
    ) -> dict[str, TaskPredictions]:
        """Return the predictions for each task.

        Args:
            votes: task -> probabilities of its models, float (models, N, C).
            years: expected age, float (N,); required with thresholds.
        """
        found = {name: task.predict(votes[name]) for name, task in self.tasks.items()}
        if self.joint_offsets is not None:
            class_ids = decisions.decide(joint_probabilities(found), self.joint_offsets)
            parts = {ALL.name: class_ids} if ALL.name in found else decode(class_ids)
            found = {n: TaskPredictions(p.probabilities, parts[n]) for n, p in found.items()}
        if self.thresholds is not None:
            if years is None:
                raise ValueError("thresholds need expected ages, but years is None")
            group = np.digitize(years, self.thresholds)
            found["age"] = TaskPredictions(found["age"].probabilities, group)
        return found


def joint_probabilities(predictions: dict[str, TaskPredictions]) -> np.ndarray:
    """Return the probabilities of the 18 classes, float (N, 18).

    They are those of the task `all`, or the products of the three tasks' probabilities.
    """
    if ALL.name in predictions:
        return predictions[ALL.name].probabilities
    return joint(*(predictions[name].probabilities for name in TASKS))


def by_task(predictions: dict[str, TaskPredictions]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the probabilities of the three tasks, float (N, C) each, and class ids, int (N,)."""
    if ALL.name in predictions:
        probabilities, class_ids = predictions[ALL.name]
        return marginals(probabilities), class_ids
    parts = {name: predictions[name].probabilities for name in TASKS}
    return parts, encode(*(predictions[name].predicted for name in TASKS))


def to_json(config: EnsembleConfig, voters: dict[str, list[str]]) -> dict[str, Any]:
    """Return the configuration as JSON values, without loss of precision.

    Args:
        config: the fitted ensemble.
        voters: task -> names of the models that vote on it, in the order of their weights.
    """

    def plain(value):
        return value.tolist() if isinstance(value, np.ndarray) else value

    tasks = {}
    for name, task in config.tasks.items():
        stacking = task.stacking and {k: plain(v) for k, v in task.stacking._asdict().items()}
        tasks[name] = {
            "models": voters[name],
            **{k: plain(v) for k, v in task._asdict().items()},
            "stacking": stacking,
        }
    return {
        "tasks": tasks,
        "joint_offsets": plain(config.joint_offsets),
        "thresholds": plain(config.thresholds),
        "temperatures": dict(config.temperatures),
    }


def from_json(value: dict[str, Any]) -> tuple[EnsembleConfig, dict[str, list[str]]]:
    """Return the configuration that `to_json` wrote, and task -> names of its models."""

    def array(numbers):
        return None if numbers is None else np.array(numbers)

    tasks = {}
    for name, task in value["tasks"].items():
        stacking = task["stacking"] and Stacking(
            **{k: np.array(v) for k, v in task["stacking"].items()}
        )
        tasks[name] = TaskEnsemble(
            task["vote"], array(task["weights"]), array(task["offsets"]), stacking
        )
    voters = {name: task["models"] for name, task in value["tasks"].items()}
    config = EnsembleConfig(
        tasks,
        array(value["joint_offsets"]),
        array(value["thresholds"]),
        value["temperatures"],
    )
    return config, voters


def check_models(config: EnsembleConfig, voters: dict[str, list[str]], models: set[str]) -> None:
    """Check a configuration that was read from a file.

    Args:
        config: the fitted ensemble.
        voters: task -> names of its models; `a+b` is a pair of models.
        models: names of the models that have networks.

    Raises:
        ValueError: a missing task, a model that is not in `models`, a temperature not above 0.
    """
    if config.tasks.keys() != TASKS.keys() and list(config.tasks) != [ALL.name]:
        raise ValueError(f"ensemble has the tasks {', '.join(config.tasks)}")
    named = {part for names in voters.values() for name in names for part in name.split("+")}
    if unknown := sorted((named | config.temperatures.keys()) - models):
        raise ValueError(f"ensemble names models without networks: {', '.join(unknown)}")
    for name, value in config.temperatures.items():
        if not isinstance(value, float | int) or not value > 0:
            raise ValueError(f"ensemble: temperature {value!r} of {name} must be above 0")
