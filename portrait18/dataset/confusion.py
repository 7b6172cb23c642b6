"""Confusion matrices of class indices, and the F1 scores that they give."""

import numpy as np


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Return the confusion matrix, int (count, count); rows are the truth.

    Args:
        truth: class indices, int (N,).
        predicted: class indices, int (N,).
        count: number of classes.
    """
    return np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)


def f1_scores(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 score of each class, float (..., C).

    A class that is neither present nor predicted has 0.

    Args:
        confusion: confusion matrices, int or float (..., C, C).
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2 * right / np.maximum(confusion.sum(-1) + confusion.sum(-2), 1)


def macro_f1(truth: np.ndarray, predicted: np.ndarray, count: int) -> float:
    """Return the unweighted mean of the F1 scores of classes 0 to count - 1."""
    return float(f1_scores(confusion_matrix(truth, predicted, count)).mean())
