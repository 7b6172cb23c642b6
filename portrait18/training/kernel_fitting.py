"""Fit kernel heads: penalized losses in the space of a Gaussian kernel, minimized by L-BFGS.

With cross-entropy this is multinomial kernel logistic regression (Zhu and Hastie 2005), which gives
calibrated probabilities where a support vector machine needs a second fit. Functions are spanned by
landmarks, a random part of the training photos (Nystroem approximation, Williams and Seeger 2001);
with as many landmarks as photos the fit is exact.
"""

from collections.abc import Callable

import numpy as np
import torch

from portrait18.models.heads import KernelHead

#: Added to the diagonal of the landmarks' kernel matrix, whose entries are at most 1.
JITTER = 1e-8
#: The fit ends when the largest derivative of the mean loss is below TOLERANCE.
MAX_ITERATIONS, TOLERANCE = 300, 1e-5

#: Outputs (N, C) -> loss of each photo (N,).
PhotoLoss = Callable[[torch.Tensor], torch.Tensor]


def fit(
    head: KernelHead, features: torch.Tensor, landmarks: torch.Tensor, loss: PhotoLoss, cost: float
) -> float:
    """Set a head's landmarks, coefficients and bias.

    The objective is scikit-learn's of `SVC` and `LogisticRegression`: half the squared norm of the
    function plus `cost` times the sum of the losses of the photos. The bias is not penalized.

    Args:
        head: for features of the same width.
        features: float32 (N, F), standardized.
        landmarks: float32 (M, F), standardized.
        loss: loss of each photo.
        cost: weight of the losses, `head.C`.

    Returns:
        The mean loss of the training photos.
    """
    with torch.no_grad():
        head.support = landmarks.half()
        basis = _whitening(head.kernel(head.support.double()))
        kernel = head.kernel(features.double())
    width = len(head.bias)
    weights = torch.zeros(len(landmarks), width, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(width, dtype=torch.float64, requires_grad=True)
    penalty = 0.5 / (cost * len(features))
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=MAX_ITERATIONS,
        max_eval=2 * MAX_ITERATIONS,
        tolerance_grad=TOLERANCE,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def mean_loss() -> torch.Tensor:
        return loss(kernel @ (basis @ weights) + bias).mean()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = mean_loss() + penalty * (weights**2).sum()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        head.coefficients = (basis @ weights).float()
        head.bias = bias.detach().float()
        return float(mean_loss())


def _whitening(kernel: torch.Tensor) -> torch.Tensor:
    """Return the matrix B (M, M) with B.T @ kernel @ B = identity, up to the jitter.

    Coefficients B @ w give a function whose squared norm is that of w, so that L-BFGS needs few
    iterations. NumPy's LAPACK is as portable as its matrix products (see core.arithmetic).
    """
    matrix = kernel.numpy() + JITTER * np.eye(len(kernel))
    root = np.linalg.cholesky(matrix)
    return torch.from_numpy(np.ascontiguousarray(np.linalg.inv(root).T))
