"""The optimizer, the learning rate schedule, and the moving average of the weights."""

import difflib
import math
import warnings
from functools import partial
from typing import cast

import timm.optim
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from portrait18.core.device import device
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.variants import StepSchedule
from portrait18.models.backbones import Features, Network


def create_optimizer(network: Network, params: ModelParams) -> torch.optim.Optimizer:
    """Create timm's optimizer `params.optimizer`.

    The learning rate is multiplied by `layer_decay` for each layer below the head; a group's
    factor is its `lr_scale`. Norms and biases get no weight decay.

    Raises:
        UserError: see `validate`.
    """
    groups: list[dict] = []
    if params.layer_decay < 1:
        for part in network.features:
            groups += timm.optim.param_groups_layer_decay(
                cast(Features, part).backbone, params.weight_decay, layer_decay=params.layer_decay
            )
        groups += timm.optim.param_groups_weight_decay(network.head, params.weight_decay)
    else:
        groups += timm.optim.param_groups_weight_decay(network, params.weight_decay)
    validate(params)
    return timm.optim.create_optimizer_v2(groups, params.optimizer, lr=params.lr, weight_decay=0.0)


def validate(params: ModelParams) -> None:
    """Check that timm has the optimizer and that it makes a step on this machine.

    Raises:
        UserError: unknown to timm, second-order, or a package that it needs is missing.
    """
    name, known = params.optimizer, cast(list[str], timm.optim.list_optimizers())
    if name not in known:
        matches = ", ".join(difflib.get_close_matches(name, known, 5)) or "none"
        raise UserError(
            f"params.yaml: optimizer = {name!r} is unknown to timm; similar names: {matches};"
            " see timm.optim.list_optimizers()"
        )
    if timm.optim.get_optimizer_info(name).second_order:
        raise UserError(
            f"params.yaml: optimizer = {name!r} needs second derivatives, which the training loop"
            " does not compute; use another, e.g. adamw"
        )
    weight = nn.Parameter(torch.ones(2, 2, device=device()))
    weight.grad = torch.ones_like(weight)
    try:
        with warnings.catch_warnings():
            # Without opt_einsum, kron only warns, but each step would take minutes.
            warnings.filterwarnings("error", message=".*opt_einsum")
            timm.optim.create_optimizer_v2([weight], name, lr=params.lr).step()
    except Exception as error:  # optimizers report missing packages with different exceptions
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"params.yaml: optimizer = {name!r} does not work on this machine ({reason});"
            " install the package that it needs, or use another, e.g. adamw"
        ) from None


def lr_factor(step: int, steps_per_epoch: int, params: ModelParams) -> float:
    """Return the learning rate of an optimizer step as a share of the peak rate, 0 to 1.

    After a linear warm-up the rate is constant, falls stepwise, or follows a cosine to zero.
    A function of the step has no state to save. `LambdaLR` would multiply by `lr_scale` first,
    which rounds differently with `layer_decay`.
    """
    warmup = params.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if isinstance(params.schedule, StepSchedule):
        return params.schedule.factor ** (step // (params.schedule.epochs * steps_per_epoch))
    if params.schedule.name == "constant":
        return 1.0
    total = params.epochs * steps_per_epoch
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of each group to `lr` times its `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def freeze_backbones(network: Network, frozen: bool) -> None:
    """Put a network into training mode, with frozen weights and batch statistics if asked for.

    Frozen backbones are not disturbed by the gradients of a new, untrained head.
    """
    network.features.requires_grad_(not frozen)
    network.train()
    if frozen:
        network.features.eval()


def create_ema(network: Network, decay: float) -> AveragedModel:
    """Create an exponential moving average of a network's weights and buffers.

    The decay grows with the steps up to `decay`; otherwise a short run would keep its random
    initialization. timm's `ModelEmaV3` does not reproduce this average: its warm-up rounds
    differently, and it copies the batch norms' step counts instead of averaging them.
    """
    return AveragedModel(network, multi_avg_fn=partial(_update_ema, decay), use_buffers=True)


def _update_ema(
    decay: float, averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor
) -> None:
    decay = min(decay, (1 + int(steps)) / (10 + int(steps)))
    get_ema_multi_avg_fn(decay)(averaged, current, steps)
