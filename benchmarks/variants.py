"""Rows of what the training loop does without: each variant beside the loop as it is.

A variant that gains more than the aim allows ought to be taken over; one that does not is not worth its line.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader

from benchmarks import inputs, ours, train
from benchmarks.rows import Bench, Outcome, Row, at_most
from portrait18.training.trainer import Trainer

WORTH_IT = 1.05


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


class Ahead:
    """A loader whose next batch is prepared by a thread meanwhile."""

    def __init__(self, loader: DataLoader):
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator:
        batches = iter(self.loader)
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = pool.submit(next, batches, None)
                yield batch


def thread(trainer: Trainer) -> None:
    usual = trainer.loader

    def loader(epoch: int) -> tuple[Ahead, int]:
        batches, size = usual(epoch)
        return Ahead(batches), size

    trainer.loader = loader


def train_loop(folder: str, model: str, variant: str) -> ours.Measured:
    """An epoch of a training, by a variant of the loop."""
    trainer = ours.make_trainer(folder, model, "variant")
    globals()[variant](trainer)
    return ours.epochs(trainer)


def _measure(variant: Callable) -> Callable[[Bench, int], Outcome]:
    def measure(bench: Bench, count: int) -> Outcome:
        model = inputs.model(bench, bench.params.matrix.models[0])
        told = {"folder": str(inputs.store(bench, count)), "model": model.model_dump_json()}
        with (
            bench.side("variants.train_loop", **told, variant=variant.__name__) as a,
            bench.side("ours.train_loop", **told) as b,
        ):
            return Outcome(bench.compare(a.turn, b.turn).ratios, count, train.facts(bench))

    return measure


def _row(variant: Callable, what: str, *devices: str) -> Row:
    name, aims = f"with-{variant.__name__}", {device: at_most(WORTH_IT) for device in devices}
    return Row(
        name,
        f"`train` with {what}",
        "the loop as it is",
        "x",
        aims,
        _measure(variant),
        share=(1, 32),
    )


ROWS = [
    _row(contiguous, "channels first in memory instead of last", "cpu", "cuda"),
    _row(precision, "bf16 on a CPU, float32 on a GPU", "cpu", "cuda"),
    _row(fused, "the fused AdamW", "cpu", "cuda"),
    _row(compiled, "`torch.compile`, its compilation left out", "cpu", "cuda"),
    _row(graphs, "CUDA graphs, by `torch.compile(mode='reduce-overhead')`", "cuda"),
    _row(thread, "a thread that prepares the next batch", "cpu"),
]
