"""Losses by name. To add one: write a function like those below and decorate it with the name used in params.yaml."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.models.targets import LOG_VARIANCE, Target


class Context(NamedTuple):
    """What a loss may know beside a batch: training photos of each class (C,), and epochs done, 0 to 1."""

    counts: torch.Tensor
    progress: float


#: (outputs, told by the target, the model's params, context) -> loss of each photo (N,).
Loss = Callable[[torch.Tensor, torch.Tensor, ModelParams, Context], torch.Tensor]


class _Entry(NamedTuple):
    function: Loss
    targets: tuple[str, ...]
    head: str | None
    of_batch: bool


LOSSES: dict[str, _Entry] = {}
SHARES = ("classes", "heads")  # targets whose told rows are shares of the classes


def loss(
    name: str, *targets: str, head: str | None = None, of_batch: bool = False
) -> Callable[[Loss], Loss]:
    """Register a loss under a name.

    Args:
        targets: it is for models with one of these.
        head: the one it needs, if any.
        of_batch: it judges the batch as a whole: no label is smoothed, no photo weighted.
    """

    def register(function: Loss) -> Loss:
        LOSSES[name] = _Entry(function, targets, head, of_batch)
        return function

    return register


def make(
    params: ModelParams, target: Target
) -> Callable[[torch.Tensor, torch.Tensor, Context], torch.Tensor]:
    """The model's loss, summed over its heads; `UserError` if there is none of that name for its target and head."""
    fitting = [name for name, entry in LOSSES.items() if params.target in entry.targets]
    if params.loss not in fitting:
        raise UserError(
            f"params.yaml: loss = {params.loss!r} does not go with target {params.target}; use {' | '.join(fitting)}"
        )
    entry = LOSSES[params.loss]
    if entry.head and params.head != entry.head:
        raise UserError(
            f"params.yaml: loss {params.loss} needs head: {entry.head}, not {params.head}"
        )
    by_photo = params.target in SHARES and not entry.of_batch
    if params.class_weight and not by_photo:
        raise UserError(
            f"params.yaml: class_weight = {params.class_weight} has no effect with loss {params.loss} and target {params.target}; set it to 0"
        )
    of_head = partial(_of_shares if by_photo else _plain, entry.function, params)

    def summed(outputs: torch.Tensor, told: torch.Tensor, context: Context) -> torch.Tensor:
        if len(target.widths) == 1:
            return of_head(outputs, told, context)
        parts = (t.split(target.widths, -1) for t in (outputs, told, context.counts))
        return sum(
            of_head(o, t, Context(c, context.progress)) for o, t, c in zip(*parts, strict=True)
        )

    return summed


def _plain(function: Loss, params: ModelParams, outputs, told, context) -> torch.Tensor:
    return function(outputs, told, params, context)


def _of_shares(function: Loss, params: ModelParams, outputs, told, context) -> torch.Tensor:
    """Label smoothing (Szegedy et al. 2016) before a loss of classes, weights of the classes after it."""
    smoothed = told * (1 - params.label_smoothing) + params.label_smoothing / told.shape[1]
    value = function(outputs, smoothed, params, context)
    if params.class_weight and context.progress >= params.class_weight_from:
        counts = context.counts.clamp(min=1)
        weight = counts**-params.class_weight
        # A mean of 1 over the training photos: the loss keeps its size, and lr its meaning.
        value = value * (told @ (weight * counts.sum() / (weight * counts).sum()))
    return value


@loss("cross-entropy", "classes", "heads", "distribution")
def cross_entropy(outputs, told, params, context):
    """Cross-entropy with soft labels (N, C)."""
    return F.cross_entropy(outputs, told, reduction="none")


@loss("focal", "classes", "heads")
def focal(outputs, told, params, context):
    """Focal loss, Lin et al. 2017: -sum_c t_c (1 - p_c)^gamma log p_c."""
    log_p = outputs.log_softmax(1)
    return -(told * (1 - log_p.exp()) ** params.focal_gamma * log_p).sum(1)


@loss("soft-f1", "classes", "heads", of_batch=True)
def soft_f1(outputs, told, params, context):
    """1 - macro-F1 with probabilities in the counts' place, over the classes of the batch; one value for all photos."""
    p = outputs.softmax(1)
    f1 = 2 * (p * told).sum(0) / (p + told).sum(0)
    here = told.sum(0) > 0
    return (1 - f1[here].mean()).expand(len(outputs))


@loss("cosine", "classes", "heads", head="unit")
def cosine(outputs, told, params, context):
    """Barz and Denzler 2020: 1 - cosine(logits, label), weighted, plus cross-entropy."""
    distance = 1 - F.cosine_similarity(outputs, told, dim=1)
    return params.cosine_weight * distance + F.cross_entropy(outputs, told, reduction="none")


def _margin(outputs: torch.Tensor, lowered: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in which the logit of the true class is taken from `lowered` (N, C)."""
    own = torch.eye(outputs.shape[1], dtype=torch.bool, device=outputs.device)
    logits = torch.where(own, lowered.unsqueeze(1), outputs.unsqueeze(1))  # (N, true class, C)
    return (told * (logits.logsumexp(2) - lowered)).sum(1)


@loss("ldam", "classes", "heads", head="cosine")
def ldam(outputs, told, params, context):
    """Label-distribution-aware margins, Cao et al. 2019: n_c^(-1/4), the rarest class has `margin`.

    Their deferred re-weighting is `class_weight` with `class_weight_from`.
    """
    margins = context.counts.clamp(min=1) ** -0.25
    return _margin(outputs, outputs - params.scale * params.margin * margins / margins.max(), told)


@loss("arcface", "classes", "heads", head="cosine")
def arcface(outputs, told, params, context):
    """Additive angular margin, Deng et al. 2019: cos(angle + margin), falling on beyond pi as in their code."""
    cosine = (outputs / params.scale).clamp(-1 + 1e-6, 1 - 1e-6)
    margin = torch.tensor(params.margin)
    turned = cosine * margin.cos() - (1 - cosine**2).sqrt() * margin.sin()
    beyond = cosine - margin * margin.sin()
    return _margin(
        outputs, params.scale * torch.where(cosine > -margin.cos(), turned, beyond), told
    )


@loss("gaussian", "value")
def gaussian(outputs, told, params, context):
    """Beta-NLL with beta = 1/2, Seitzer et al. 2022: negative log-likelihood of a normal distribution
    weighted by its (constant) deviation, so that hard photos are not given up on as merely uncertain.
    """
    mean, log_variance = outputs[:, 0], outputs[:, 1].clamp(*LOG_VARIANCE)
    likelihood = 0.5 * (log_variance + (told - mean) ** 2 / log_variance.exp())
    return likelihood * (log_variance.detach() / 2).exp()


@loss("cumulative", "rank")
def cumulative(outputs, told, params, context):
    """Binary cross-entropy of "older than" for each year, Niu et al. 2016."""
    return F.binary_cross_entropy_with_logits(outputs, told, reduction="none").mean(1)
