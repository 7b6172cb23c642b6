"""Rows of optimizations that the training loop does not use: each variant versus the default loop.

A variant that gains more than the goal allows should be adopted; one that does not is not worth its
code.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader

from benchmarks import ours, train
from benchmarks.rows import Bench, Outcome, Row, at_most
from portrait18.training.trainer import Trainer

MAX_GAIN = 1.05


def contiguous(trainer: Trainer) -> None:
    trainer.network.to(memory_format=torch.contiguous_format)
    trainer.network.register_forward_pre_hook(lambda network, inputs: inputs[0].contiguous())


def precision(trainer: Trainer) -> None:
    device = trainer.device.type
    trainer.autocast = torch.autocast(device, torch.bfloat16, enabled=device == "cpu")


def fused(trainer: Trainer) -> None:
    trainer.optimizer = torch.optim.AdamW(trainer.optimizer.param_groups, fused=True)


def compiled(trainer: Trainer) -> None:
    trainer.network.compile()


def graphs(trainer: Trainer) -> None:
    trainer.network.compile(mode="reduce-overhead")


class Prefetched:
    """A loader whose next batch is prepared in a thread."""

    def __init__(self, loader: DataLoader):
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator:
        batches = iter(self.loader)
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(next, batches, None)
            while (batch := upcoming.result()) is not None:
                upcoming = pool.submit(next, batches, None)
                yield batch


def thread(trainer: Trainer) -> None:
    default_loader = trainer.loader

    def loader(epoch: int) -> tuple[Prefetched, int]:
        batches, size = default_loader(epoch)
        return Prefetched(batches), size

    trainer.loader = loader


VARIANTS = {f.__name__: f for f in (contiguous, precision, fused, compiled, graphs, thread)}


def train_loop(folder: str, model: str, variant: str) -> ours.Measured:
    """Train one epoch with a variant of the loop."""
    trainer = ours.make_trainer(folder, model, "variant")
    VARIANTS[variant](trainer)
    return ours.epochs(trainer)


def _measure(variant: str) -> Callable[[Bench, int], Outcome]:
    def measure(bench: Bench, count: int) -> Outcome:
        settings = train.our_settings(bench, count)
        with (
            bench.side("variants.train_loop", **settings, variant=variant) as changed,
            bench.side("ours.train_loop", **settings) as default,
        ):
            pair = bench.compare(changed.turn, default.turn)
            return Outcome(pair.ratios, count, train.facts(bench))

    return measure


def _row(variant: str, description: str, *devices: str) -> Row:
    return Row(
        f"with-{variant}",
        f"`train` with {description}",
        "default loop",
        "x",
        {device: at_most(MAX_GAIN) for device in devices},
        _measure(variant),
        share=(1, 32),
    )


ROWS = [
    _row("contiguous", "contiguous (NCHW) instead of channels-last memory format", "cpu", "cuda"),
    _row("precision", "bf16 on a CPU, float32 on a GPU", "cpu", "cuda"),
    _row("fused", "the fused AdamW", "cpu", "cuda"),
    _row("compiled", "`torch.compile`, without its compile time", "cpu", "cuda"),
    _row("graphs", "CUDA graphs, by `torch.compile(mode='reduce-overhead')`", "cuda"),
    _row("thread", "a thread that prepares the next batch", "cpu"),
]
