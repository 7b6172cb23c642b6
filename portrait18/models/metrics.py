"""Scores of predictions against the truth; macro-F1 is the mean over all classes, absent ones counting as 0."""

import numpy as np
from sklearn.metrics import f1_score, log_loss

from portrait18.dataset.classes import NUM_CLASSES, TASKS, decode


def macro_f1(truth: np.ndarray, predicted: np.ndarray, count: int) -> float:
    """Unweighted mean of the F1 of classes 0..count-1; a class neither present nor predicted counts as 0."""
    return float(f1_score(truth, predicted, labels=range(count), average="macro", zero_division=0))


def scores(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-F1 and loss (cross-entropy in nats) of one task.

    Args:
        truth, predicted: int (N,).
        probabilities: (N, C); its width says how many classes there are.
    """
    count = probabilities.shape[1]
    return {
        "macro_f1": macro_f1(truth, predicted, count),
        "accuracy": float(np.mean(truth == predicted)),
        "loss": float(log_loss(truth, _normalized(probabilities), labels=range(count))),
    }


def _normalized(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, None)
    return clipped / clipped.sum(1, keepdims=True)


def answers(classes: np.ndarray, predicted: np.ndarray) -> dict:
    """What a submission scores: the 18-class macro-F1 and accuracy, and both for each task; class numbers (N,)."""
    result: dict = {
        "macro_f1": macro_f1(classes, predicted, NUM_CLASSES),
        "accuracy": float(np.mean(classes == predicted)),
    }
    truth, guess = decode(classes), decode(predicted)
    for name, task in TASKS.items():
        result[name] = {
            "macro_f1": macro_f1(truth[name], guess[name], len(task.classes)),
            "accuracy": float(np.mean(truth[name] == guess[name])),
        }
    return result
