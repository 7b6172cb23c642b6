"""How a task is posed to a network: what it puts out, what it is told, and what class probabilities follow."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch.nn import functional as F

from portrait18.classes import ALL, OLD_FROM, TASKS, YOUNG_BELOW, Task, encode
from portrait18.params import ModelParams

#: The log variance of a value is held within these bounds: a deviation of 0.7 to 110 years.
LOG_VARIANCE = (-6.0, 4.0)
MEAN_YEARS, SCALE_YEARS = 45.0, 15.0  # years are regressed as (years - 45) / 15: near zero, near one


@dataclass(frozen=True)
class Target:
    """One way to pose a task.

    Attributes:
        task: the question that its probabilities answer.
        outputs: numbers that the network puts out for a photo.
        told: labels table -> float32 tensor (N, ...) that the loss compares with the outputs.
        heads: how many of the outputs, and of what is told, belong to each head; each has its own loss.
        probabilities: outputs (N, outputs) -> class probabilities (N, classes of the task).
        years: outputs -> expected age (N,), or None where the target knows no years.
    """

    task: Task
    outputs: int
    told: Callable[[pd.DataFrame], torch.Tensor]
    probabilities: Callable[[torch.Tensor], torch.Tensor]
    heads: tuple[int, ...] = ()
    years: Callable[[torch.Tensor], torch.Tensor] | None = None


def make(params: ModelParams) -> Target:
    """The target of a model."""
    task = ALL if params.task == "all" else TASKS[params.task]
    if params.target == "classes":
        return _classes(task, params.label_smoothing)
    return _heads(params.label_smoothing) if params.target == "heads" else _value(task)


def class_index(task: Task, labels: pd.DataFrame, trained: bool) -> pd.Series:
    """Class of each photo: what training is told (`trained`), or the truth that scores use."""
    age = labels.age_target if trained else labels.age_group
    if task is ALL:
        return encode(labels["mask"], labels.gender, age)
    return age if task.name == "age" else labels[task.name]


def _shares(task: Task, labels: pd.DataFrame, smoothing: float) -> torch.Tensor:
    """One-hot rows (N, classes), `smoothing` of each spread over all classes (Szegedy et al. 2016)."""
    index = torch.tensor(class_index(task, labels, trained=True).to_numpy("int64"))
    return F.one_hot(index, len(task.classes)).float() * (1 - smoothing) + smoothing / len(task.classes)


def _classes(task: Task, smoothing: float) -> Target:
    return Target(
        task, len(task.classes), lambda labels: _shares(task, labels, smoothing), lambda outputs: outputs.softmax(1)
    )


def _heads(smoothing: float) -> Target:
    """One network, a head for each task; the 18 probabilities are the products of the heads'."""
    widths = tuple(len(task.classes) for task in TASKS.values())

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return torch.cat([_shares(task, labels, smoothing) for task in TASKS.values()], 1)

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        mask, gender, age = (head.softmax(1) for head in outputs.split(widths, 1))
        return torch.einsum("nm,ng,na->nmga", mask, gender, age).flatten(1)

    return Target(ALL, sum(widths), told, probabilities, heads=widths)


def _value(task: Task) -> Target:
    """Age as a normal distribution: outputs are its mean and log variance, in units of `SCALE_YEARS`.

    The class probabilities are what lies of it under, between and over the borders (ages are whole
    years, so the borders lie half a year lower).
    """

    def told(labels: pd.DataFrame) -> torch.Tensor:
        return (torch.tensor(labels.age.to_numpy("float32")) - MEAN_YEARS) / SCALE_YEARS

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        borders = outputs.new_tensor([YOUNG_BELOW - 0.5, OLD_FROM - 0.5])
        mean, deviation = outputs[:, :1], (outputs[:, 1:].clamp(*LOG_VARIANCE) / 2).exp()
        below = torch.special.ndtr(((borders - MEAN_YEARS) / SCALE_YEARS - mean) / deviation)
        return torch.stack([below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]], 1).clamp(1e-6)

    return Target(task, 2, told, probabilities, years=lambda outputs: outputs[:, 0] * SCALE_YEARS + MEAN_YEARS)
