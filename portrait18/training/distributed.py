"""Data-parallel training: batches split over the processes of `portrait18.core.processes`."""

import numpy as np
import timm.layers
import torch
import torch.distributed as dist
from torch import nn

from portrait18.core.device import device
from portrait18.core.errors import UserError
from portrait18.core.loss_params import losses_for
from portrait18.core.model_params import ModelParams
from portrait18.core.processes import gather, rank, world_size


def validate(params: ModelParams) -> None:
    """Reject a loss of the whole batch if there are several processes, each with a slice of it.

    Raises:
        UserError: lists the losses that can be used.
    """
    if world_size() > 1 and params.loss.whole_batch:
        losses = losses_for(params.target.name).items()
        alone = [name for name, loss in losses if not loss.whole_batch]
        raise UserError(
            f"params.yaml: loss = {params.loss.name!r} needs complete batches, but each of"
            f" {world_size()} processes (launch) has a slice; use launch: python, or"
            f" {' | '.join(alone)}"
        )


def shard_slice(count: int) -> slice:
    """Return this process's slice of `count` items; slices differ in length by at most one."""
    size, extra = divmod(count, world_size())
    start = rank() * size + min(rank(), extra)
    return slice(start, start + size + (rank() < extra))


def shard_lengths(count: int) -> list[int]:
    """Return the lengths of all processes' slices of `count` items."""
    return [len(part) for part in np.array_split(np.arange(count), world_size())]


def all_gather_rows(part: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """Concatenate the slices of all processes along the first dimension.

    Args:
        part: this process's slice (lengths[rank], ...); dtype and device as in other processes.
        lengths: of all slices, by rank.
    """
    if world_size() == 1:
        return part
    padded = part.new_zeros((max(lengths), *part.shape[1:]))
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([each[:length] for each, length in zip(parts, lengths, strict=True)])


def sum_over_processes(*numbers: float) -> list[float]:
    """Return each number's sum over all processes."""
    return [sum(column) for column in zip(*gather(numbers), strict=True)]


def sync_batchnorm(network: nn.Module) -> nn.Module:
    """Make batch norms use the statistics of all processes' photos, on GPUs.

    On CPUs each process uses its own photos, because PyTorch has no such layer for them.
    """
    if world_size() == 1 or device().type == "cpu":
        return network
    return timm.layers.convert_sync_batchnorm(network)


def data_parallel(network: nn.Module) -> nn.Module:
    """Wrap a network so that its gradients are averaged over the processes.

    Wrap it again whenever other weights are frozen.
    """
    return network if world_size() == 1 else nn.parallel.DistributedDataParallel(network)
