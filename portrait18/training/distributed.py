"""A batch spread over several processes (`portrait18.core.processes`), and one network that they train together."""

import numpy as np
import timm.layers
import torch
import torch.distributed as dist
from torch import nn

from portrait18.core.device import device
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.processes import gather, rank, world_size
from portrait18.models import losses


def require(params: ModelParams) -> None:
    """`UserError` for a loss that judges a batch as a whole, where each of several processes has a part of it."""
    entry = losses.LOSSES.get(params.loss)
    if world_size() > 1 and entry and entry.of_batch:
        alone = [
            name
            for name, entry in losses.LOSSES.items()
            if params.target in entry.targets and not entry.of_batch
        ]
        raise UserError(
            f"params.yaml: loss = {params.loss!r} judges a batch as a whole, and each of {world_size()} processes (launch) has"
            f" a part of it; use launch: python, or {' | '.join(alone)}"
        )


def share(count: int) -> slice:
    """This process's part of `count` things in a row; the parts differ by one at most."""
    size, more = divmod(count, world_size())
    start = rank() * size + min(rank(), more)
    return slice(start, start + size + (rank() < more))


def lengths(count: int) -> list[int]:
    """Of the parts that `share` makes."""
    return [len(part) for part in np.array_split(np.arange(count), world_size())]


def joined(part: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The parts of a tensor, one behind the other.

    Args:
        part: (lengths[rank], ...), of the same kind and device as those of the other processes.
        lengths: of all parts.
    """
    if world_size() == 1:
        return part
    padded = part.new_zeros((max(lengths), *part.shape[1:]))
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([each[:length] for each, length in zip(parts, lengths, strict=True)])


def sums(*numbers: float) -> list[float]:
    """Each number, summed over the processes."""
    return [sum(column) for column in zip(*gather(numbers), strict=True)]


def with_common_statistics(network: nn.Module) -> nn.Module:
    """On GPUs, batch norm over the photos of all processes; on CPUs each keeps to its own (PyTorch has no such layer)."""
    if world_size() == 1 or device().type == "cpu":
        return network
    return timm.layers.convert_sync_batchnorm(network)


def averaging_gradients(network: nn.Module) -> nn.Module:
    """The network, its gradients averaged over the processes as they come; made anew when other weights are frozen."""
    return network if world_size() == 1 else nn.parallel.DistributedDataParallel(network)
