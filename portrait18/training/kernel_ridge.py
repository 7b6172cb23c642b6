"""Fit heads by kernel or linear ridge regression with calibrated probabilities, in closed form.

Scores are regressed on the classes and, for ages, on years and on "at least k years" for some k,
which share one inverse. A logistic regression turns them into probabilities. It is fitted on
leave-one-person-out scores, which the inverse gives too (Rasmussen and Williams 2006, 5.4.2).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from portrait18.models.heads import KernelHead, LinearRidgeHead
from portrait18.models.targets import Target

#: Ages whose "at least k years" are regressed, and the scale of years.
THRESHOLDS = np.arange(20, 61, 2)
MEAN_YEARS, SCALE_YEARS = 38.0, 12.0
#: Weight of half the squared norm of the logistic regression's weights.
CALIBRATION_PENALTY = 1e-3


@dataclass(frozen=True)
class Photos:
    """Training photos.

    Attributes:
        features: float32 (N, F), standardized.
        labels: of the N photos.
        weights: float64 (N,), above 0. A weight of 2 counts a photo twice.
    """

    features: torch.Tensor
    labels: pd.DataFrame
    weights: np.ndarray


def fit(
    head: KernelHead | LinearRidgeHead, photos: Photos, target: Target, penalty: float
) -> float:
    """Set a linear head's weights and bias, or a kernel head's landmarks (all photos) and the rest.

    Args:
        head: for features of the same width. The kernel of a linear one is the scalar product
            divided by F.
        photos: what it is fitted to.
        target: has classes.
        penalty: added to the diagonal of the kernel matrix, whose diagonal is 1 on average or
            everywhere.

    Returns:
        The mean weighted cross-entropy of the leave-one-person-out probabilities, summed over
        heads.
    """
    features, labels, weights = photos.features, photos.labels, photos.weights
    classes = target.encode(labels).numpy().astype(np.float64)
    scores = _scores(classes, labels, with_years=target.task.name in ("age", "all"))
    mean = np.average(scores, 0, weights)
    with torch.no_grad():
        if isinstance(head, KernelHead):
            head.support = features.half()
            kernel = head.kernel(head.support.double()).numpy()
        else:
            kernel = (features.double() @ features.double().T).numpy() / features.shape[1]
    inverse = np.linalg.inv(kernel + np.diag(penalty / weights))
    dual = inverse @ (scores - mean)
    left_out = scores - _residuals(inverse, dual, labels.person.to_numpy())
    mixing, bias, loss = _calibrate(left_out, classes, target.widths, weights)
    coefficients = torch.from_numpy(dual @ mixing)
    with torch.no_grad():
        if isinstance(head, KernelHead):
            head.coefficients = coefficients.float()
        else:
            head.weight = (coefficients.T @ features.double() / features.shape[1]).float()
        head.bias = torch.from_numpy(mean @ mixing + bias).float()
    return loss


def _scores(classes: np.ndarray, labels: pd.DataFrame, with_years: bool) -> np.ndarray:
    """Return what is regressed, about -1 to 1 each, float64 (N, T)."""
    columns = [2 * classes - 1]
    if with_years:
        years = labels.age.to_numpy(np.float64)[:, None]
        columns += [(years - MEAN_YEARS) / SCALE_YEARS, np.where(years >= THRESHOLDS, 1.0, -1.0)]
    return np.concatenate(columns, 1)


def _residuals(inverse: np.ndarray, dual: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return each photo's errors of a fit without the photos of its person, (N, T)."""
    residuals = np.empty_like(dual)
    order = np.argsort(people, kind="stable")
    starts = np.flatnonzero(np.r_[True, people[order][1:] != people[order][:-1]])
    for rows in np.split(order, starts[1:]):
        residuals[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], dual[rows])
    return residuals


def _calibrate(
    scores: np.ndarray, classes: np.ndarray, widths: tuple[int, ...], photo_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit a multinomial logistic regression from scores to the classes of each head.

    Returns:
        Weights (T, C), bias (C,) and the mean weighted loss.
    """
    shares = torch.from_numpy(photo_weights / photo_weights.sum())
    mean = np.average(scores, 0, photo_weights)
    std = np.sqrt(np.average((scores - mean) ** 2, 0, photo_weights))
    std = np.where(std > 1e-6, std, 1.0)
    inputs, targets = torch.from_numpy((scores - mean) / std), torch.from_numpy(classes)
    weights = torch.zeros(scores.shape[1], classes.shape[1], dtype=torch.float64)
    bias = torch.zeros(classes.shape[1], dtype=torch.float64)
    parameters = [weights.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=300,
        tolerance_grad=1e-6,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def mean_loss() -> torch.Tensor:
        outputs = (inputs @ weights + bias).split(widths, 1)
        parts = zip(outputs, targets.split(widths, 1), strict=True)
        losses = [functional.cross_entropy(o, t, reduction="none") for o, t in parts]
        return (torch.stack(losses).sum(0) * shares).sum()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = mean_loss() + 0.5 * CALIBRATION_PENALTY * (weights**2).sum()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        loss = float(mean_loss())
    scaled = weights.detach().numpy() / std[:, None]
    return scaled, bias.detach().numpy() - mean @ scaled, loss
