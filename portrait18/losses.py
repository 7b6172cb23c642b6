"""Losses by name. To add one: write a function like those below and decorate it with the name used in params.yaml."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from portrait18.errors import UserError
from portrait18.params import ModelParams
from portrait18.targets import LOG_VARIANCE

#: (outputs, told by the target, the model's params) -> loss of each photo (N,).
Loss = Callable[[torch.Tensor, torch.Tensor, ModelParams], torch.Tensor]
LOSSES: dict[str, tuple[tuple[str, ...], Loss]] = {}


def loss(name: str, *targets: str) -> Callable[[Loss], Loss]:
    """Register a loss under a name, for models with one of these targets."""

    def register(function: Loss) -> Loss:
        LOSSES[name] = targets, function
        return function

    return register


def make(params: ModelParams, heads: tuple[int, ...] = ()) -> Loss:
    """The model's loss, summed over its heads; `UserError` if there is none of that name for its target."""
    allowed = [name for name, (targets, _) in LOSSES.items() if params.target in targets]
    if params.loss not in allowed:
        raise UserError(
            f"params.yaml: loss = {params.loss!r} does not go with target {params.target}; use {' | '.join(allowed)}"
        )
    of_head = LOSSES[params.loss][1]
    if not heads:
        return of_head

    def summed(outputs, told, params):
        return sum(of_head(o, t, params) for o, t in zip(outputs.split(heads, 1), told.split(heads, 1), strict=True))

    return summed


@loss("cross-entropy", "classes", "heads")
def cross_entropy(outputs, told, params):
    """Cross-entropy with soft labels (N, C)."""
    return F.cross_entropy(outputs, told, reduction="none")


@loss("focal", "classes", "heads")
def focal(outputs, told, params):
    """Focal loss, Lin et al. 2017: -sum_c t_c (1 - p_c)^gamma log p_c."""
    log_p = outputs.log_softmax(1)
    return -(told * (1 - log_p.exp()) ** params.focal_gamma * log_p).sum(1)


@loss("gaussian", "value")
def gaussian(outputs, told, params):
    """Beta-NLL with beta = 1/2, Seitzer et al. 2022: negative log-likelihood of a normal distribution
    weighted by its (constant) deviation, so that hard photos are not given up on as merely uncertain."""
    mean, log_variance = outputs[:, 0], outputs[:, 1].clamp(*LOG_VARIANCE)
    likelihood = 0.5 * (log_variance + (told - mean) ** 2 / log_variance.exp())
    return likelihood * (log_variance.detach() / 2).exp()
