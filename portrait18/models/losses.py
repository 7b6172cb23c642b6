"""Losses by name. See `portrait18.models.registry` for how to add one."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from portrait18.core.loss_params import ClassLoss
from portrait18.core.model_params import ModelParams
from portrait18.models.registry import Registry
from portrait18.models.targets import LOG_VARIANCE, YEARS, Target


class LossContext(NamedTuple):
    """What a loss may use besides a batch.

    Attributes:
        counts: training photos of each class, float (C,).
        progress: fraction of the epochs done, 0 to 1.
    """

    counts: torch.Tensor
    progress: float


#: (outputs (N, ...), targets (N, ...), the model's params, context) -> loss of each photo (N,).
Loss = Callable[[torch.Tensor, torch.Tensor, Any, LossContext], torch.Tensor]

LOSSES: Registry[Loss] = Registry("loss")


def make_loss(
    params: ModelParams, target: Target
) -> Callable[[torch.Tensor, torch.Tensor, LossContext], torch.Tensor]:
    """Return the loss of a model.

    Args:
        params: the model's params.
        target: the model's target; with several heads the losses of the heads are summed.

    Returns:
        A function of outputs (N, sum of widths), targets of `target.encode` (N, ...) and the
        context that returns the loss of each photo (N,).
    """
    function = LOSSES[params.loss.name]
    if isinstance(params.loss, ClassLoss):
        function = _smoothed_and_weighted(function)

    def summed(outputs: torch.Tensor, targets: torch.Tensor, context: LossContext) -> torch.Tensor:
        if len(target.widths) == 1:
            return function(outputs, targets, params, context)
        parts = (t.split(target.widths, -1) for t in (outputs, targets, context.counts))
        losses = (
            function(o, t, params, LossContext(c, context.progress))
            for o, t, c in zip(*parts, strict=True)
        )
        return functools.reduce(torch.add, losses)

    return summed


def _smoothed_and_weighted(loss: Loss) -> Loss:
    """Add label smoothing (Szegedy et al. 2016) before a loss and class weights after it."""

    def function(outputs, targets, params, context):
        smoothing, power = params.loss.label_smoothing, params.loss.class_weight
        smoothed = targets * (1 - smoothing) + smoothing / targets.shape[1]
        value = loss(outputs, smoothed, params, context)
        if power and context.progress >= params.loss.class_weight_from:
            counts = context.counts.clamp(min=1)
            weight = counts**-power
            # Mean 1 over the training photos, so that the loss keeps its size and lr its meaning.
            value = value * (targets @ (weight * counts.sum() / (weight * counts).sum()))
        return value

    return function


@LOSSES.register("cross-entropy")
@LOSSES.register("soft-cross-entropy")
def cross_entropy(outputs, targets, params, context):
    """Return the cross-entropy of logits (N, C) with class probabilities (N, C)."""
    return F.cross_entropy(outputs, targets, reduction="none")


@LOSSES.register("dldl-v2")
def dldl_v2(outputs, targets, params, context):
    """Return the cross-entropy plus the weighted error of the expected age (Gao et al. 2018).

    The error, in years, is that from the expectation of the targets: the age of the label, except
    near 0 and 100, where the targets are cut off. With mixup it is the mixed age.
    """
    error = (outputs.softmax(1) - targets) @ YEARS.to(outputs.device)
    return cross_entropy(outputs, targets, params, context) + params.loss.weight * error.abs()


@LOSSES.register("focal")
def focal(outputs, targets, params, context):
    """Return the focal loss, -sum_c t_c (1 - p_c)^gamma log p_c (Lin et al. 2017)."""
    log_p = outputs.log_softmax(1)
    return -(targets * (1 - log_p.exp()) ** params.loss.gamma * log_p).sum(1)


@LOSSES.register("soft-f1")
def soft_f1(outputs, targets, params, context):
    """Return 1 - macro-F1 of the classes in the batch, with probabilities as counts.

    All photos get the same value.
    """
    present = targets.sum(0) > 0  # of an absent class p may be 0, and the gradient of 0 / 0 is NaN
    p, targets = outputs.softmax(1)[:, present], targets[:, present]
    f1 = 2 * (p * targets).sum(0) / (p + targets).sum(0)
    return (1 - f1.mean()).expand(len(outputs))


@LOSSES.register("cosine")
def cosine(outputs, targets, params, context):
    """Return the weighted cosine distance plus the cross-entropy (Barz and Denzler 2020)."""
    distance = 1 - F.cosine_similarity(outputs, targets, dim=1)
    return params.loss.weight * distance + F.cross_entropy(outputs, targets, reduction="none")


def _with_margin(
    outputs: torch.Tensor, lowered: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy with the logit of the true class taken from `lowered` (N, C)."""
    own = torch.eye(outputs.shape[1], dtype=torch.bool, device=outputs.device)
    logits = torch.where(own, lowered.unsqueeze(1), outputs.unsqueeze(1))  # (N, true class, C)
    return (targets * (logits.logsumexp(2) - lowered)).sum(1)


@LOSSES.register("ldam")
def ldam(outputs, targets, params, context):
    """Return the label-distribution-aware margin loss (Cao et al. 2019).

    Margins go with n_c^(-1/4); the rarest class has `margin`. The paper's deferred re-weighting is
    `class_weight` with `class_weight_from`.
    """
    margins = context.counts.clamp(min=1) ** -0.25
    lowered = outputs - params.head.scale * params.loss.margin * margins / margins.max()
    return _with_margin(outputs, lowered, targets)


@LOSSES.register("arcface")
def arcface(outputs, targets, params, context):
    """Return the additive angular margin loss, with logits cos(angle + margin) (Deng et al. 2019).

    Beyond an angle of pi the logit keeps falling, as in the authors' code.
    """
    cosine = (outputs / params.head.scale).clamp(-1 + 1e-6, 1 - 1e-6)
    margin = torch.tensor(params.loss.margin)
    rotated = cosine * margin.cos() - (1 - cosine**2).sqrt() * margin.sin()
    beyond = cosine - margin * margin.sin()
    lowered = params.head.scale * torch.where(cosine > -margin.cos(), rotated, beyond)
    return _with_margin(outputs, lowered, targets)


@LOSSES.register("gaussian")
def gaussian(outputs, targets, params, context):
    """Return the beta-NLL of a normal distribution with beta = 1/2 (Seitzer et al. 2022).

    The weight, a detached standard deviation, keeps the network from giving up on hard photos by
    calling them uncertain.
    """
    mean, log_variance = outputs[:, 0], outputs[:, 1].clamp(*LOG_VARIANCE)
    likelihood = 0.5 * (log_variance + (targets - mean) ** 2 / log_variance.exp())
    return likelihood * (log_variance.detach() / 2).exp()


@LOSSES.register("cumulative")
def cumulative(outputs, targets, params, context):
    """Return the mean binary cross-entropy of "at least k years" over k (Niu et al. 2016)."""
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)
