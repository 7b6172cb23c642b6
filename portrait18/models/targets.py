"""How a task is posed to a network: what it puts out, what it is told, and what class probabilities follow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch.nn import functional as F

from portrait18.core.model_params import ModelParams
from portrait18.dataset.classes import ALL, OLD_FROM, TASKS, YOUNG_BELOW, Task
from portrait18.dataset.labels import class_index

#: The log variance of a value is held within these bounds: a deviation of 0.7 to 110 years.
LOG_VARIANCE = (-6.0, 4.0)
MEAN_YEARS, SCALE_YEARS = (
    45.0,
    15.0,
)  # years are regressed as (years - 45) / 15: near zero, near one
#: The years that target distribution gives a probability each, and target rank a border each.
YEARS = torch.arange(0.0, 101.0)


@dataclass(frozen=True)
class Target:
    """One way to pose a task.

    Attributes:
        task: the question that its probabilities answer.
        widths: outputs of each head; a head has its own loss.
        told: labels table -> float32 tensor (N, ...) that the loss compares with the outputs.
        probabilities: outputs (N, sum of widths) -> class probabilities (N, classes of the task).
        years: outputs -> expected age (N,), or None where the target knows no years.
    """

    task: Task
    widths: tuple[int, ...]
    told: Callable[[pd.DataFrame], torch.Tensor]
    probabilities: Callable[[torch.Tensor], torch.Tensor]
    years: Callable[[torch.Tensor], torch.Tensor] | None = None


def make(params: ModelParams) -> Target:
    """The target of a model."""
    task = ALL if params.task == "all" else TASKS[params.task]
    if params.target == "distribution":
        return _distribution(task, params.age_sigma)
    return {"classes": _classes, "heads": _heads, "value": _value, "rank": _rank}[params.target](
        task
    )


def class_counts(target: Target, labels: pd.DataFrame) -> torch.Tensor:
    """Photos of each class as training is told them, float32 (sum of the heads' classes,)."""
    tasks = TASKS.values() if len(target.widths) > 1 else [target.task]
    return torch.cat([_one_hot(task, labels).sum(0) for task in tasks])


def _one_hot(task: Task, labels: pd.DataFrame) -> torch.Tensor:
    """Rows (N, classes), float32."""
    index = torch.tensor(class_index(task, labels, for_training=True).to_numpy("int64"))
    return F.one_hot(index, len(task.classes)).float()


def _years(labels: pd.DataFrame) -> torch.Tensor:
    return torch.tensor(labels.age.to_numpy("float32"))


def _classes(task: Task) -> Target:
    return Target(
        task, (len(task.classes),), partial(_one_hot, task), lambda outputs: outputs.softmax(1)
    )


def _heads(task: Task) -> Target:
    """One network, a head for each task; the 18 probabilities are the products of the heads'."""
    widths = tuple(len(part.classes) for part in TASKS.values())

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return torch.cat([_one_hot(part, labels) for part in TASKS.values()], 1)

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        mask, gender, age = (head.softmax(1) for head in outputs.split(widths, 1))
        return torch.einsum("nm,ng,na->nmga", mask, gender, age).flatten(1)

    return Target(task, widths, told, probabilities)


def _value(task: Task) -> Target:
    """Age as a normal distribution: outputs are its mean and log variance, in units of `SCALE_YEARS`.

    The class probabilities are what lies of it under, between and over the thresholds (ages are whole
    years, so the thresholds lie half a year lower).
    """

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return (_years(labels) - MEAN_YEARS) / SCALE_YEARS

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        thresholds = outputs.new_tensor([YOUNG_BELOW - 0.5, OLD_FROM - 0.5])
        mean, deviation = outputs[:, :1], (outputs[:, 1:].clamp(*LOG_VARIANCE) / 2).exp()
        below = torch.special.ndtr(((thresholds - MEAN_YEARS) / SCALE_YEARS - mean) / deviation)
        return torch.stack([below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]], 1).clamp(1e-6)

    return Target(
        task, (2,), told, probabilities, lambda outputs: outputs[:, 0] * SCALE_YEARS + MEAN_YEARS
    )


def _distribution(task: Task, sigma: float) -> Target:
    """Age as a probability for each year, told as a normal distribution around the label: DLDL, Gao et al. 2017."""

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return (-0.5 * ((YEARS - _years(labels)[:, None]) / sigma) ** 2).softmax(1)

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        young, middle, old = outputs.softmax(1).tensor_split([YOUNG_BELOW, OLD_FROM], 1)
        return torch.stack([young.sum(1), middle.sum(1), old.sum(1)], 1).clamp(1e-6)

    return Target(
        task,
        (len(YEARS),),
        told,
        probabilities,
        lambda outputs: outputs.softmax(1) @ YEARS.to(outputs.device),
    )


def _rank(task: Task) -> Target:
    """Age as a yes or no to "at least k years old" for each year k >= 1: ordinal regression, Niu et al. 2016."""

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return (_years(labels)[:, None] >= YEARS[1:]).float()

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        # Column k - 1 answers "at least k"; nothing makes the network answer in order, so old is held below middle.
        adult, old = (outputs[:, border - 1].sigmoid() for border in (YOUNG_BELOW, OLD_FROM))
        old = torch.minimum(old, adult)
        return torch.stack([1 - adult, adult - old, old], 1).clamp(1e-6)

    return Target(
        task, (len(YEARS) - 1,), told, probabilities, lambda outputs: outputs.sigmoid().sum(1)
    )
