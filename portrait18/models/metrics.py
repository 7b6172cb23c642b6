"""Scores of predictions; macro-F1 is the mean over all classes, absent classes counting as 0."""

import numpy as np
from sklearn.metrics import f1_score, log_loss

from portrait18.dataset.classes import NUM_CLASSES, TASKS, decode


def macro_f1(truth: np.ndarray, predicted: np.ndarray, count: int) -> float:
    """Return the unweighted mean of the F1 scores of classes 0 to count - 1.

    A class that is neither present nor predicted counts as 0.
    """
    return float(f1_score(truth, predicted, labels=range(count), average="macro", zero_division=0))


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
        "loss": float(log_loss(truth, _normalize(probabilities), labels=range(count))),
    }


def _normalize(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, None)
    return clipped / clipped.sum(1, keepdims=True)


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
