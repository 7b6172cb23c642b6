"""Targets by name: how a task is posed to a network, and how its outputs are read.

A target turns labels into the tensor that the loss compares with the outputs, and the outputs into
class probabilities. See `portrait18.models.registry` for how to add one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F

from portrait18.core.model_params import ModelParams
from portrait18.dataset.classes import ALL, OLD_FROM, TASKS, YOUNG_BELOW, Task
from portrait18.dataset.labels import class_index
from portrait18.models.registry import Registry
from portrait18.models.target_scale import LOG_VARIANCE, MAX_YEARS, MEAN_YEARS, SCALE_YEARS

#: The years that target distribution gives a probability each, and target rank a threshold each.
YEARS = torch.arange(0.0, MAX_YEARS + 1.0)


@dataclass(frozen=True)
class Target:
    """One way to pose a task.

    Attributes:
        task: the task that its probabilities are for.
        widths: outputs of each head; each head has its own loss.
        encode: labels table -> float32 tensor (N, ...) that the loss compares with the outputs.
        probabilities: outputs (N, sum of widths) -> class probabilities (N, classes of the task).
        years: outputs -> expected age (N,), or None if the target predicts no years.
        one_hot: whether encoded rows are one-hot classes, those of several heads side by side.
    """

    task: Task
    widths: tuple[int, ...]
    encode: Callable[[pd.DataFrame], torch.Tensor]
    probabilities: Callable[[torch.Tensor], torch.Tensor]
    years: Callable[[torch.Tensor], torch.Tensor] | None = None
    one_hot: bool = False


#: (task, the `target` params) -> target.
TARGETS: Registry[Callable[[Task, Any], Target]] = Registry("target")


def make_target(params: ModelParams) -> Target:
    """Return the target of a model."""
    task = ALL if params.task == "all" else TASKS[params.task]
    return TARGETS[params.target.name](task, params.target)


def class_counts(target: Target, labels: pd.DataFrame) -> torch.Tensor:
    """Return the photos of each class that a loss may weigh, float32.

    They are those of the encoded rows, (sum of widths,), if these are one-hot, else those of the
    task, (classes,).
    """
    if target.one_hot:
        return target.encode(labels).sum(0)
    return _one_hot(target.task, labels).sum(0)


def _one_hot(task: Task, labels: pd.DataFrame) -> torch.Tensor:
    """Return the training classes as one-hot rows, float32 (N, classes)."""
    index = torch.tensor(class_index(task, labels, for_training=True).to_numpy("int64"))
    return F.one_hot(index, len(task.classes)).float()


def _sum_to_groups(probabilities: torch.Tensor, boundaries: list[int]) -> torch.Tensor:
    """Sum columns (N, C) to the three age groups; `boundaries`: first columns of middle and old."""
    young, middle, old = probabilities.tensor_split(boundaries, 1)
    return torch.stack([young.sum(1), middle.sum(1), old.sum(1)], 1).clamp(1e-6)


def _years(labels: pd.DataFrame) -> torch.Tensor:
    return torch.tensor(labels.age.to_numpy("float32"))


@TARGETS.register("classes")
def _classes(task: Task, params) -> Target:
    """Classes of the task: logits, one-hot targets."""
    return Target(
        task,
        (len(task.classes),),
        partial(_one_hot, task),
        lambda outputs: outputs.softmax(1),
        one_hot=True,
    )


@TARGETS.register("heads")
def _heads(task: Task, params) -> Target:
    """A head per task; the 18 probabilities are the products of the heads' probabilities."""
    widths = tuple(len(part.classes) for part in TASKS.values())

    def encode(labels: pd.DataFrame) -> torch.Tensor:
        return torch.cat([_one_hot(part, labels) for part in TASKS.values()], 1)

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        mask, gender, age = (head.softmax(1) for head in outputs.split(widths, 1))
        return torch.einsum("nm,ng,na->nmga", mask, gender, age).flatten(1)

    return Target(task, widths, encode, probabilities, one_hot=True)


@TARGETS.register("bins")
def _bins(task: Task, params) -> Target:
    """Age as one of several bins of years; the probability of an age group is that of its bins.

    The bins lie within the age groups, so finer than classes: a group's photos need not look alike.
    """
    edges = params.edges
    boundaries = [edges.index(year) + 1 for year in (YOUNG_BELOW, OLD_FROM)]

    def encode(labels: pd.DataFrame) -> torch.Tensor:
        # A bin begins with its edge, so the bin of a year is the number of edges up to it.
        index = torch.bucketize(_years(labels), torch.tensor(edges), right=True)
        return F.one_hot(index, len(edges) + 1).float()

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        return _sum_to_groups(outputs.softmax(1), boundaries)

    return Target(task, (len(edges) + 1,), encode, probabilities, one_hot=True)


@TARGETS.register("value")
def _value(task: Task, params) -> Target:
    """Age as a normal distribution: outputs are mean and log variance, in units of `SCALE_YEARS`.

    The class probabilities are its mass below, between and above the boundaries of the age groups.
    Ages are whole years, so the boundaries lie half a year lower.
    """

    def encode(labels: pd.DataFrame) -> torch.Tensor:
        return (_years(labels) - MEAN_YEARS) / SCALE_YEARS

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        boundaries = outputs.new_tensor([YOUNG_BELOW - 0.5, OLD_FROM - 0.5])
        mean, deviation = outputs[:, :1], (outputs[:, 1:].clamp(*LOG_VARIANCE) / 2).exp()
        below = torch.special.ndtr(((boundaries - MEAN_YEARS) / SCALE_YEARS - mean) / deviation)
        return torch.stack([below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]], 1).clamp(1e-6)

    def years(outputs: torch.Tensor) -> torch.Tensor:
        return outputs[:, 0] * SCALE_YEARS + MEAN_YEARS

    return Target(task, (2,), encode, probabilities, years)


@TARGETS.register("distribution")
def _distribution(task: Task, params) -> Target:
    """Age as a probability for each year; targets are normal around the label (Gao et al. 2017)."""

    def encode(labels: pd.DataFrame) -> torch.Tensor:
        return (-0.5 * ((YEARS - _years(labels)[:, None]) / params.sigma) ** 2).softmax(1)

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        return _sum_to_groups(outputs.softmax(1), [YOUNG_BELOW, OLD_FROM])

    def years(outputs: torch.Tensor) -> torch.Tensor:
        return outputs.softmax(1) @ YEARS.to(outputs.device)

    return Target(task, (len(YEARS),), encode, probabilities, years)


@TARGETS.register("rank")
def _rank(task: Task, params) -> Target:
    """Age as "at least k years old" for each k >= 1: ordinal regression (Niu et al. 2016)."""

    def encode(labels: pd.DataFrame) -> torch.Tensor:
        return (_years(labels)[:, None] >= YEARS[1:]).float()

    def probabilities(outputs: torch.Tensor) -> torch.Tensor:
        # Column k - 1 is "at least k". Nothing forces the outputs to be monotonic, so "old" is
        # limited to the probability of "at least middle".
        adult, old = (outputs[:, boundary - 1].sigmoid() for boundary in (YOUNG_BELOW, OLD_FROM))
        old = torch.minimum(old, adult)
        return torch.stack([1 - adult, adult - old, old], 1).clamp(1e-6)

    def years(outputs: torch.Tensor) -> torch.Tensor:
        return outputs.sigmoid().sum(1)

    return Target(task, (len(YEARS) - 1,), encode, probabilities, years)
