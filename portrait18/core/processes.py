"""Several processes working on one task, started by `torchrun` (`launch` in params.yaml).

Each process takes its share; the main process writes. Without torchrun there is one process and
every function here returns at once. All machines must share the project's folder.
"""

import atexit
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from portrait18.core.errors import UserError


def init() -> None:
    """Join the process group if torchrun started one: NCCL with GPUs, gloo without.

    Raises:
        UserError: more processes on this machine than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return
    import torch
    import torch.distributed as dist

    from portrait18.core.device import device

    if dist.is_initialized():
        return
    if device().type == "cuda":
        gpus = torch.cuda.device_count()
        if device().index >= gpus:
            raise UserError(
                f"launch: process {device().index + 1} of this machine has no GPU, there are"
                f" {gpus}; set --nproc-per-node to {gpus} or less"
            )
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if device().type == "cuda" else "gloo")
    atexit.register(dist.destroy_process_group)


def _group():
    """Return torch.distributed if there is a process group, else None.

    One process must not import PyTorch here.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return None
    import torch.distributed as dist

    return dist if dist.is_initialized() else None


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if (dist := _group()) else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if (dist := _group()) else 0


def is_main_process() -> bool:
    """Return whether this is the process that writes files."""
    return rank() == 0


def print_once(line: str) -> None:
    """Print a line from the main process only."""
    if is_main_process():
        print(line, flush=True)


def gather(value: Any) -> list:
    """Return the values of all processes in the order of their ranks.

    Args:
        value: any object that pickle supports.
    """
    dist = _group()
    if dist is None:
        return [value]
    parts: list = [None] * world_size()
    dist.all_gather_object(parts, value)
    return parts


def broadcast(value: Any) -> Any:
    """Return the main process's value in every process; other processes' values are ignored."""
    return gather(value if is_main_process() else None)[0]


def shard(items: Sequence) -> Sequence:
    """Return every world_size-th item, starting at this process's rank."""
    return items[rank() :: world_size()]


def gather_in_order(results: Iterable, count: int) -> Iterator[list]:
    """Collect the results of sharded items on the main process, one round at a time.

    Args:
        results: results of this process's `shard`, computed lazily, e.g. by `map`.
        count: number of items over all processes.

    Yields:
        On the main process, the results of one item of each process, in order; on others, [].
    """
    iterator = iter(results)
    for _ in range(0, count, world_size()):
        parts = _gather_on_main(list(itertools.islice(iterator, 1)))
        yield [result for part in parts for result in part]


def _gather_on_main(value: Any) -> list:
    dist = _group()
    if dist is None:
        return [value]
    parts: list | None = [None] * world_size() if is_main_process() else None
    dist.gather_object(value, parts)
    return parts or []
