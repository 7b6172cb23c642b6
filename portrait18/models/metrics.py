"""Scores of predictions; macro-F1 is the mean over all classes, absent classes counting as 0.

The scores are those of scikit-learn, to the last bit, without its import, which takes seconds.
"""

import math
from typing import NamedTuple

import numpy as np

from portrait18.dataset.classes import NUM_CLASSES, TASKS, decode
from portrait18.dataset.confusion import confusion_matrix, f1_scores, macro_f1


class ClassScores(NamedTuple):
    """Scores of each class, float (C,); 0 where the denominator is 0.

    Attributes:
        precision: share of the class's predictions that are right.
        recall: share of its photos that are found.
        f1: harmonic mean of both.
        support: number of its photos.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def scores_by_class(truth: np.ndarray, predicted: np.ndarray, count: int) -> ClassScores:
    """Return precision, recall, F1 and support of classes 0 to count - 1."""
    table = confusion_matrix(truth, predicted, count)
    right, photos, predictions = table.diagonal(), table.sum(1), table.sum(0)

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return part / np.where(whole == 0, 1, whole)

    return ClassScores(
        share(right, predictions),
        share(right, photos),
        f1_scores(table),
        photos,
    )


def scores(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return macro_f1, accuracy and loss (cross-entropy in nats) of one task.

    Args:
        truth: class indices, int (N,).
        predicted: class indices, int (N,).
        probabilities: float (N, C), C being the number of classes. Rows are normalized.
    """
    count = probabilities.shape[1]
    return {
        "macro_f1": macro_f1(truth, predicted, count),
        "accuracy": float(np.mean(truth == predicted)),
        "loss": _log_loss(truth, _normalize(probabilities)),
    }


def _normalize(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, None)
    return clipped / clipped.sum(1, keepdims=True)


def _log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    eps = np.finfo(np.float64).eps
    chosen = probabilities[np.arange(len(truth)), truth].clip(eps, 1 - eps)
    # NumPy's vectorized logarithm rounds differently on other CPUs.
    return float(-np.array([math.log(p) for p in chosen.tolist()]).mean())


def class_scores(truth: np.ndarray, predicted: np.ndarray) -> dict:
    """Return macro_f1 and accuracy over the 18 classes, and for each task under its name.

    Args:
        truth: class ids 0 to 17, int (N,).
        predicted: class ids 0 to 17, int (N,).
    """
    result: dict = {
        "macro_f1": macro_f1(truth, predicted, NUM_CLASSES),
        "accuracy": float(np.mean(truth == predicted)),
    }
    true_parts, predicted_parts = decode(truth), decode(predicted)
    for name, task in TASKS.items():
        result[name] = {
            "macro_f1": macro_f1(true_parts[name], predicted_parts[name], len(task.classes)),
            "accuracy": float(np.mean(true_parts[name] == predicted_parts[name])),
        }
    return result
