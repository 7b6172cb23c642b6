"""Two sides measured in turns, so that what else the machine does falls on both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Turn(NamedTuple):
    """One run of one side: how long it took, how many photos it got through, and what it says it found."""

    seconds: float
    photos: int
    facts: dict

    @property
    def per_photo(self) -> float:
        """Seconds for each photo: sides that leave out a last part of a batch compare fairly."""
        return self.seconds / self.photos


class Pair(NamedTuple):
    """All rounds of two sides; the first turns, which warm up, are left out."""

    ours: list[Turn]
    theirs: list[Turn]

    @property
    def ratios(self) -> list[float]:
        """Of each round: how many times as long as ours the other side takes for a photo."""
        return [b.per_photo / a.per_photo for a, b in zip(self.ours, self.theirs, strict=True)]


def measure(
    ours: Callable[[], Turn],
    theirs: Callable[[], Turn],
    rounds: int,
    seconds: float,
    warm_up: int = 1,
    tell: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> Pair:
    """Run both sides in turns: ours, theirs, ours, theirs ...

    Args:
        rounds: how many of both; fewer where `seconds` would not suffice for one more, at least one.
        seconds: for all rounds with the warm-up.
        warm_up: rounds before the first that counts.
        tell: called with a line after each round.
    """
    pair, start, longest = Pair([], []), clock(), 0.0
    for n in range(-warm_up, rounds):
        began = clock()
        if n > 0 and began - start + longest > seconds:
            tell(f"{n} of {rounds} rounds: there is no time for more")
            break
        a, b = ours(), theirs()
        longest = max(longest, clock() - began)
        if n >= 0:
            pair.ours.append(a)
            pair.theirs.append(b)
            tell(f"round {n + 1} of {rounds}: {pair.ratios[-1]:.2f}")
    return pair


def spread(values: list[float]) -> dict:
    """Median, lowest and highest of the rounds, and each of them, with four digits."""

    def short(value: float) -> float:
        return float(f"{value:.4g}")

    return {
        "median": short(statistics.median(values)),
        "lowest": short(min(values)),
        "highest": short(max(values)),
        "rounds": len(values),
        "each": [short(v) for v in values],
    }
