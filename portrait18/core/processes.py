"""Several processes, on one machine or more, at one piece of work: `torchrun` starts them (`launch` in params.yaml).

Each process takes its share, the first one writes. Without torchrun there is one process, and everything here
costs nothing. Machines have to share the project's folder.
"""

import atexit
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist

from portrait18.core.device import device
from portrait18.core.errors import UserError


def join() -> None:
    """Meet the other processes, if torchrun started any: by NCCL with GPUs, by gloo without."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or dist.is_initialized():
        return
    if device().type == "cuda":
        if device().index >= torch.cuda.device_count():
            raise UserError(
                f"launch: process {device().index + 1} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}; set --nproc-per-node to at most that"
            )
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


def say(line: str) -> None:
    """Print a line, once for all processes."""
    if first():
        print(line, flush=True)


def gather(mine: Any) -> list:
    """What each process has, in the order of their ranks; of any kind that pickle knows."""
    if world() == 1:
        return [mine]
    parts: list = [None] * world()
    dist.all_gather_object(parts, mine)
    return parts


def from_first(value: Any) -> Any:
    """What the first process has, for all of them; the others' value is not looked at."""
    return gather(value if first() else None)[0]


def turns(pieces: Sequence) -> Sequence:
    """This process's pieces of a row of them: the first one's is the first of each turn."""
    return pieces[rank() :: world()]


def in_turns(mine: Iterable, count: int) -> Iterator[list]:
    """What this process makes of its pieces (see `turns`), one a turn; all processes wait for each other.

    Args:
        mine: made when its turn comes, such as by `map`.
        count: of the pieces of all processes.

    Yields:
        To the first process what all have made of the pieces of one turn, in their order; to others nothing, [].
    """
    made = iter(mine)
    for _ in range(0, count, world()):
        yield [each for part in _to_first(list(itertools.islice(made, 1))) for each in part]


def _to_first(mine: Any) -> list:
    """What each process has, in the order of their ranks, for the first one; [] for the others, who need not hold it."""
    if world() == 1:
        return [mine]
    parts: list | None = [None] * world() if first() else None
    dist.gather_object(mine, parts)
    return parts or []
