"""A row of the benchmark, and the settings that all rows are measured with."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import paired, side
from benchmarks.paired import Pair, Rounds
from portrait18.core.params import Params

DEVICES = {"cpu": "CPU", "cuda": "one GPU"}


class Goal(NamedTuple):
    """A value to reach: `value` is a lower limit if `is_minimum`, else an upper limit."""

    is_minimum: bool
    value: float

    def reached(self, value: float) -> bool:
        return value >= self.value if self.is_minimum else value <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.is_minimum else '<='} {self.value:g}"


def at_least(value: float) -> Goal:
    return Goal(True, value)


def at_most(value: float) -> Goal:
    return Goal(False, value)


@dataclass(frozen=True)
class Bench:
    """Settings of a benchmark run.

    Attributes:
        data: Folder of a data set in the competition's layout.
        photos: Base size of a row. Each row takes its own share of it, see `Row`.
        rounds: Rounds per row; fewer if `minutes` would not suffice.
        device: "cpu" or "cuda".
        num_workers: Loader processes of a training, on both sides.
        minutes: Time limit for the rounds of a row, and for a single turn.
        folder: Temporary folder for inputs and outputs.
        params: The project's params.
        log: Shows a line of progress.
        start_side: Starts a side; see `side.Side`.
        bundle: Folder of the trained ensemble to serve.
    """

    data: Path
    photos: int
    rounds: int
    device: str
    num_workers: int
    minutes: float
    folder: Path
    params: Params
    log: Callable[[str], None] = lambda line: None
    start_side: Callable[..., Any] = side.Side
    bundle: Path = Path("models/bundle")

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return 60 * self.minutes

    def side(self, function: str, **settings) -> side.Side:
        """Return a process that runs a function of `ours` or `peers`; a context manager."""
        return self.start_side(function, self.device, self.seconds, **settings)

    def compare(self, ours: Callable, theirs: Callable) -> Pair:
        """Measure two sides in alternation."""
        return paired.measure(ours, theirs, Rounds(self.rounds, self.seconds), log=self.log)

    def each_round(self) -> Iterator[int]:
        """Yield round numbers from 0 while there is time for one more; always the first."""
        start = time.monotonic()
        for n in range(self.rounds):
            if n and (time.monotonic() - start) * (n + 1) / n > self.seconds:
                return
            yield n


@dataclass(frozen=True)
class Outcome:
    """What a row measured.

    Attributes:
        values: Result of each round.
        photos: Number of photos it was measured on.
        facts: Settings and findings that repeat exactly.
        results: Further numbers that vary from run to run.
        same_work: Whether our side did at least the peer's work, e.g. found as many faces.
    """

    values: list[float]
    photos: int
    facts: dict = field(default_factory=dict)
    results: dict = field(default_factory=dict)
    same_work: bool = True


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: Name on the command line.
        task: What is measured, as the table words it.
        peer: What it is compared with, with package versions.
        unit: Unit after the number: "x", "s", "%" or "".
        goals: Device -> goal. A device without a goal is not measured.
        measure: Measures the row on the given number of photos.
        share: Share of `Bench.photos` on a CPU and on a GPU, which needs more to be busy; 0: none.
    """

    name: str
    task: str
    peer: str
    unit: str
    goals: dict[str, Goal]
    measure: Callable[[Bench, int], Outcome]
    share: tuple[float, float] = (1, 1)

    def photos(self, bench: Bench) -> int:
        """Return the number of photos that this row is measured on."""
        share = self.share[bench.device == "cuda"]
        return max(4, round(bench.photos * share)) if share else 0


def versions(*packages: str) -> str:
    """Return the installed versions of a peer's packages, e.g. `torch 2.14.1, timm 1.0.31`."""
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    """Return a package's version; rows of a package that is not installed are still listed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
