"""Several processes, on one machine or more, at one piece of work: `torchrun` starts them (`launch` in params.yaml).

Each process takes its share and has the whole in the end; the first one writes. Without torchrun
there is one process, and everything here costs nothing. Machines have to share the project's folder.
"""

import atexit
import os
from typing import Any

import numpy as np
import timm.layers
import torch
import torch.distributed as dist
from torch import nn

from portrait18.device import device


def join() -> None:
    """Meet the other processes, if torchrun started any: by NCCL with GPUs, by gloo without."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or dist.is_initialized():
        return
    if device().type == "cuda":
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if device().type == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def first() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def wait() -> None:
    """Until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


def say(line: str) -> None:
    """Print a line, once for all processes."""
    if first():
        print(line, flush=True)


def share(count: int) -> slice:
    """This process's part of `count` things in a row; the parts differ by one at most."""
    size, more = divmod(count, world())
    start = rank() * size + min(rank(), more)
    return slice(start, start + size + (rank() < more))


def gather(mine: Any) -> list:
    """What each process has, in the order of their ranks; of any kind that pickle knows."""
    if world() == 1:
        return [mine]
    parts: list = [None] * world()
    dist.all_gather_object(parts, mine)
    return parts


def joined(part: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    """The parts of a tensor, one behind the other.

    Args:
        part: (lengths[rank], ...), of the same kind and device as those of the other processes.
        lengths: of all parts.
    """
    if world() == 1:
        return part
    padded = part.new_zeros((max(lengths), *part.shape[1:]))
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([each[:length] for each, length in zip(parts, lengths, strict=True)])


def lengths(count: int) -> list[int]:
    """Of the parts that `share` makes."""
    return [len(part) for part in np.array_split(np.arange(count), world())]


def sums(*numbers: float) -> list[float]:
    """Each number, summed over the processes."""
    return [sum(column) for column in zip(*gather(numbers), strict=True)]


def with_common_statistics(network: nn.Module) -> nn.Module:
    """On GPUs, batch norm over the photos of all processes; on CPUs each keeps to its own (PyTorch has no such layer)."""
    if world() == 1 or device().type == "cpu":
        return network
    return timm.layers.convert_sync_batchnorm(network)


def averaging_gradients(network: nn.Module) -> nn.Module:
    """The network, its gradients averaged over the processes as they come; made anew when other weights are frozen."""
    return network if world() == 1 else nn.parallel.DistributedDataParallel(network)
