"""The optimizer, how its rate moves over a training, and the moving average of the weights."""

import difflib
import math
import warnings
from functools import partial

import timm.optim
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from portrait18.core.device import device
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.models.backbones import Network


def make(network: Network, params: ModelParams) -> torch.optim.Optimizer:
    """Timm's optimizer of that name; lr falls from the head down by `layer_decay` a layer.

    Norms and biases are left out of the weight decay. Each group's `lr_scale` is its share of the rate.
    """
    groups: list[dict] = []
    if params.layer_decay < 1:
        for part in network.features:
            groups += timm.optim.param_groups_layer_decay(
                part.backbone, params.weight_decay, layer_decay=params.layer_decay
            )
        groups += timm.optim.param_groups_weight_decay(network.head, params.weight_decay)
    else:
        groups += timm.optim.param_groups_weight_decay(network, params.weight_decay)
    require(params)
    return timm.optim.create_optimizer_v2(groups, params.optimizer, lr=params.lr, weight_decay=0.0)


def require(params: ModelParams) -> None:
    """`UserError` unless timm has an optimizer of that name, and it takes a step on this machine."""
    name, known = params.optimizer, timm.optim.list_optimizers()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, 5)) or "none"
        raise UserError(
            f"params.yaml: optimizer = {name!r} is unknown to timm; near it are {near};"
            " see timm.optim.list_optimizers()"
        )
    if timm.optim.get_optimizer_info(name).second_order:
        raise UserError(
            f"params.yaml: optimizer = {name!r} needs second derivatives, which are not made here;"
            " use another, e.g. adamw"
        )
    weight = nn.Parameter(torch.ones(2, 2, device=device()))
    weight.grad = torch.ones_like(weight)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "error", message=".*opt_einsum"
            )  # kron: each step would take minutes, not fail
            timm.optim.create_optimizer_v2([weight], name, lr=params.lr).step()
    except Exception as error:  # each says in its own way what is not installed
        raise UserError(
            f"params.yaml: optimizer = {name!r} does not work on this machine ({' '.join(str(error).split())[:200]});"
            " install what it asks for, or use another, e.g. adamw"
        ) from None


def learning_rate(step: int, steps_per_epoch: int, params: ModelParams) -> float:
    """Share of the peak rate at an optimizer step: linear warm-up, then cosine to zero, steps, or constant."""
    warmup = params.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if params.schedule == "step":
        return params.step_factor ** (step // (params.step_epochs * steps_per_epoch))
    if params.schedule == "constant":
        return 1.0
    total = params.epochs * steps_per_epoch
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def freeze(network: Network, frozen: bool) -> None:
    """Keep the backbones as they are, their batch statistics included, while a new head finds its feet."""
    network.features.requires_grad_(not frozen)
    network.train()
    if frozen:
        network.features.eval()


def moving_average(network: Network, decay: float) -> AveragedModel:
    """A copy of the network that follows it; integer buffers are copied."""
    return AveragedModel(network, multi_avg_fn=partial(_follow, decay), use_buffers=True)


def _follow(
    decay: float, averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor
) -> None:
    """Exponential moving average that forgets faster at first: else a short run keeps its random start."""
    decay = min(decay, (1 + int(steps)) / (10 + int(steps)))
    get_ema_multi_avg_fn(decay)(averaged, current, steps)
