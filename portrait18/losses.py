"""Losses by name. To add one: write a function like those below and decorate it with the name used in params.yaml."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from portrait18.errors import UserError
from portrait18.params import ModelParams

#: (outputs, told by the target, the model's params) -> loss of each photo (N,).
Loss = Callable[[torch.Tensor, torch.Tensor, ModelParams], torch.Tensor]
LOSSES: dict[str, tuple[str, Loss]] = {}


def loss(name: str, target: str) -> Callable[[Loss], Loss]:
    """Register a loss under a name, for models with this `target`."""

    def register(function: Loss) -> Loss:
        LOSSES[name] = target, function
        return function

    return register


def make(params: ModelParams) -> Loss:
    """The model's loss; `UserError` if there is none of that name for its target."""
    allowed = [name for name, (target, _) in LOSSES.items() if target == params.target]
    if params.loss not in allowed:
        raise UserError(f"params.yaml: loss = {params.loss!r} does not go with target {params.target}; use {' | '.join(allowed)}")
    return LOSSES[params.loss][1]


@loss("cross-entropy", target="classes")
def cross_entropy(outputs, told, params):
    """Cross-entropy with soft labels (N, C)."""
    return F.cross_entropy(outputs, told, reduction="none")


@loss("focal", target="classes")
def focal(outputs, told, params):
    """Focal loss, Lin et al. 2017: -sum_c t_c (1 - p_c)^gamma log p_c."""
    log_p = outputs.log_softmax(1)
    return -(told * (1 - log_p.exp()) ** params.focal_gamma * log_p).sum(1)


@loss("gaussian", target="value")
def gaussian(outputs, told, params):
    """Beta-NLL with beta = 1/2, Seitzer et al. 2022: negative log-likelihood of a normal distribution
    weighted by its (constant) deviation, so that hard photos are not given up on as merely uncertain."""
    mean, log_variance = outputs[:, 0], outputs[:, 1].clamp(-6, 4)
    likelihood = 0.5 * (log_variance + (told - mean) ** 2 / log_variance.exp())
    return likelihood * (log_variance.detach() / 2).exp()
