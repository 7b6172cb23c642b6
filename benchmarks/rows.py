"""What a row of the benchmark is, and what all rows are measured with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import paired, side
from benchmarks.paired import Pair
from portrait18.core.params import Params

DEVICES = {"cpu": "CPU", "cuda": "one GPU"}


class Aim(NamedTuple):
    """A figure to reach: `at least` or `at most` a number."""

    least: bool
    value: float

    def reached(self, value: float) -> bool:
        return value >= self.value if self.least else value <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.value:g}"


def at_least(value: float) -> Aim:
    return Aim(True, value)


def at_most(value: float) -> Aim:
    return Aim(False, value)


@dataclass(frozen=True)
class Bench:
    """What a run of the benchmark was asked for.

    Attributes:
        data: a data set in the competition's layout.
        photos: the size of a row; each takes its own share of it, see `Row`.
        rounds: of each row; fewer where `minutes` would not suffice.
        device: cpu or cuda.
        workers: processes that prepare photos for a training, on both sides.
        folder: for inputs and outputs; thrown away at the end.
        bundle: the trained ensemble that is served.
        tell: shows a line of progress.
    """

    data: Path
    photos: int
    rounds: int
    device: str
    workers: int
    minutes: float
    folder: Path
    params: Params
    tell: Callable[[str], None] = lambda line: None
    start: Callable[..., Any] = side.Side
    bundle: Path = Path("models/bundle")

    def side(self, function: str, **settings) -> side.Side:
        """A process that runs a function of `ours` or `peers`; use it as a context manager."""
        return self.start(function, self.device, 60 * self.minutes, **settings)

    def compare(self, ours: Callable, theirs: Callable) -> Pair:
        return paired.measure(ours, theirs, self.rounds, 60 * self.minutes, tell=self.tell)


@dataclass(frozen=True)
class Outcome:
    """What a row came to.

    Attributes:
        values: its figure in each round.
        photos: on how many.
        facts: what is the same each time.
        figures: what else was measured.
        sound: whether the sides did the same work as well: as many faces, the same boxes.
    """

    values: list[float]
    photos: int
    facts: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)
    sound: bool = True


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: on the command line.
        what: the task, as the table words it.
        beside: the other side, with the packages' versions.
        unit: of the figure, behind the number: x, s, or none.
        aims: device -> what to reach; a device without an aim is not measured.
        measure: does it, on so many photos.
        share: of `Bench.photos` that the row takes on a CPU, and on a GPU, which is done with few too soon; 0: none.
    """

    name: str
    what: str
    beside: str
    unit: str
    aims: dict[str, Aim]
    measure: Callable[[Bench, int], Outcome]
    share: tuple[float, float] = (1, 1)

    def photos(self, bench: Bench) -> int:
        share = self.share[bench.device == "cuda"]
        return max(4, round(bench.photos * share)) if share else 0


def named(*packages: str) -> str:
    """`torch 2.14.1, timm 1.0.31`: what a peer is made of."""
    return ", ".join(f"{package} {version(package)}" for package in packages)
