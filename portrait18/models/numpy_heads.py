"""Heads and targets in NumPy: from features to class probabilities and years without PyTorch.

The formulas are those of `portrait18.models.heads` and `portrait18.models.targets`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portrait18.core.model_params import ModelParams
from portrait18.dataset.classes import OLD_FROM, TASKS, YOUNG_BELOW
from portrait18.models.target_scale import LOG_VARIANCE, MAX_YEARS, MEAN_YEARS, SCALE_YEARS

State = dict[str, np.ndarray]
_YEARS = np.arange(MAX_YEARS + 1, dtype=np.float32)


class NumpyHead:
    """A head on standardized features of frozen backbones, and the decoding of its target.

    Args:
        state: tensors of `frozen.StandardizedHead`.
        params: the model's params.
    """

    def __init__(self, state: State, params: ModelParams):
        self.state = {name: values.astype(np.float32) for name, values in state.items()}
        self.params = params
        self._outputs = HEADS[params.head.name]
        self._probabilities = TARGETS[params.target.name]
        self._years = YEARS.get(params.target.name)

    def __call__(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities averaged over the views; see `frozen.predict`.

        Args:
            features: float16 (N, V, F) of V views.

        Returns:
            Probabilities, float32 (N, classes), and the expected ages in years, float32 (N,), or
            None if the target has no ages.
        """
        values = features.astype(np.float32)
        if "head.support" in self.state:
            values = values.mean(1, keepdims=True)
        rows = values.reshape(-1, values.shape[2])
        rows = (rows - self.state["mean"]) / self.state["std"]
        outputs = self._outputs(rows, self.state, self.params)
        views = len(features), values.shape[1], -1
        probabilities = self._probabilities(outputs, self.params.target).reshape(views).mean(1)
        if self._years is None:
            return probabilities.astype(np.float32), None
        years = self._years(outputs).reshape(views[:2]).mean(1)
        return probabilities.astype(np.float32), years.astype(np.float32)


def _linear(rows: np.ndarray, state: State, params: ModelParams) -> np.ndarray:
    return rows @ state["head.weight"].T + state["head.bias"]


def _cosine(rows: np.ndarray, state: State, params: ModelParams) -> np.ndarray:
    head: Any = params.head
    return head.scale * _normalize(rows) @ _normalize(state["head.weight"]).T


def _unit(rows: np.ndarray, state: State, params: ModelParams) -> np.ndarray:
    head: Any = params.head
    logits = _split(_linear(rows, state, params), params.target.name)
    return head.scale * np.concatenate([_normalize(part) for part in logits], 1)


def _mlp(rows: np.ndarray, state: State, params: ModelParams) -> np.ndarray:
    head: Any = params.head
    for index in range(head.depth):
        name = f"head.hidden.{index}"
        rows = np.maximum(rows @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0)
    return _linear(rows, state, params)


def _kernel(rows: np.ndarray, state: State, params: ModelParams) -> np.ndarray:
    head: Any = params.head
    support = state["head.support"]
    lengths = (rows**2).sum(1, keepdims=True) + (support**2).sum(1)
    squared = np.maximum(lengths - 2 * rows @ support.T, 0)
    kernel = np.exp(np.float32(-head.gamma / rows.shape[1]) * squared)
    return kernel @ state["head.coefficients"] + state["head.bias"]


#: Name of a head -> outputs (N, W) of standardized features (N, F).
HEADS: dict[str, Callable[[np.ndarray, State, ModelParams], np.ndarray]] = {
    "linear": _linear,
    "linear-ridge": _linear,
    "cosine": _cosine,
    "unit": _unit,
    "mlp": _mlp,
    "kernel": _kernel,
    "ridge": _kernel,
}


def _normalize(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _split(outputs: np.ndarray, target: str) -> list[np.ndarray]:
    """Split outputs into those of each head; only the target `heads` has several."""
    if target != "heads":
        return [outputs]
    return np.split(outputs, np.cumsum([len(task.classes) for task in TASKS.values()])[:-1], 1)


def _softmax(outputs: np.ndarray) -> np.ndarray:
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _sigmoid(outputs: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-outputs))


def _groups(probabilities: np.ndarray, boundaries: list[int]) -> np.ndarray:
    """Sum columns (N, C) to the age groups; `boundaries`: first columns of middle and old."""
    parts = np.split(probabilities, boundaries, axis=1)
    return np.stack([part.sum(1) for part in parts], 1).clip(1e-6)


def _heads(outputs: np.ndarray, target: Any) -> np.ndarray:
    mask, gender, age = map(_softmax, _split(outputs, "heads"))
    return np.einsum("nm,ng,na->nmga", mask, gender, age).reshape(len(outputs), -1)


def _bins(outputs: np.ndarray, target: Any) -> np.ndarray:
    boundaries = [target.edges.index(year) + 1 for year in (YOUNG_BELOW, OLD_FROM)]
    return _groups(_softmax(outputs), boundaries)


def _value(outputs: np.ndarray, target: Any) -> np.ndarray:
    boundaries = (np.array([YOUNG_BELOW, OLD_FROM]) - 0.5 - MEAN_YEARS) / SCALE_YEARS
    mean, deviation = outputs[:, :1], np.exp(outputs[:, 1:].clip(*LOG_VARIANCE) / 2)
    erf = np.vectorize(math.erf, otypes=[float])
    below = (1 + erf((boundaries - mean) / deviation / math.sqrt(2))) / 2
    groups = [below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]]
    return np.stack(groups, 1).clip(1e-6)


def _distribution(outputs: np.ndarray, target: Any) -> np.ndarray:
    return _groups(_softmax(outputs), [YOUNG_BELOW, OLD_FROM])


def _rank(outputs: np.ndarray, target: Any) -> np.ndarray:
    adult, old = (_sigmoid(outputs[:, year - 1]) for year in (YOUNG_BELOW, OLD_FROM))
    old = np.minimum(old, adult)
    return np.stack([1 - adult, adult - old, old], 1).clip(1e-6)


#: Name of a target -> class probabilities of outputs (N, W) and the `target` params.
TARGETS: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {
    "classes": lambda outputs, target: _softmax(outputs),
    "heads": _heads,
    "bins": _bins,
    "value": _value,
    "distribution": _distribution,
    "rank": _rank,
}
#: Name of a target that predicts years -> expected ages (N,) of outputs.
YEARS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "value": lambda outputs: outputs[:, 0] * SCALE_YEARS + MEAN_YEARS,
    "distribution": lambda outputs: _softmax(outputs) @ _YEARS,
    "rank": lambda outputs: _sigmoid(outputs).sum(1),
}
