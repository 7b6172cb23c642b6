"""Measure two sides in alternation, so that other load on the machine affects both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Turn(NamedTuple):
    """One run of one side.

    Attributes:
        seconds: Duration.
        photos: Number of photos that were processed.
        facts: What the side reports about its work.
    """

    seconds: float
    photos: int
    facts: dict

    @property
    def seconds_per_photo(self) -> float:
        """Seconds per photo: comparable for sides that drop an incomplete last batch."""
        return self.seconds / self.photos


class Pair(NamedTuple):
    """The turns of two sides, without the warm-up."""

    ours: list[Turn]
    theirs: list[Turn]

    @property
    def ratios(self) -> list[float]:
        """For each round, the peer's seconds per photo divided by ours."""
        return [
            theirs.seconds_per_photo / ours.seconds_per_photo
            for ours, theirs in zip(self.ours, self.theirs, strict=True)
        ]


class Rounds(NamedTuple):
    """How often to measure.

    Attributes:
        count: Rounds to measure. Stops earlier, but not before the first, if `seconds` would not
            suffice for one more.
        seconds: Time limit for all rounds including the warm-up.
        warm_up: Rounds that run first and are not counted.
    """

    count: int
    seconds: float
    warm_up: int = 1


def measure(
    ours: Callable[[], Turn],
    theirs: Callable[[], Turn],
    rounds: Rounds,
    log: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> Pair:
    """Run both sides in alternation: ours, theirs, ours, theirs, ...

    Args:
        ours: Runs our side once.
        theirs: Runs the peer's side once.
        rounds: How often.
        log: Called with a line after each round.
        clock: Returns seconds.
    """
    pair, start, longest = Pair([], []), clock(), 0.0
    for n in range(-rounds.warm_up, rounds.count):
        round_start = clock()
        if n > 0 and round_start - start + longest > rounds.seconds:
            log(f"stopped after {n} of {rounds.count} rounds: the time limit is reached")
            break
        our_turn, their_turn = ours(), theirs()
        longest = max(longest, clock() - round_start)
        if n >= 0:
            pair.ours.append(our_turn)
            pair.theirs.append(their_turn)
            log(f"round {n + 1} of {rounds.count}: {pair.ratios[-1]:.2f}")
    return pair


def spread(values: list[float]) -> dict:
    """Return median, lowest and highest of the rounds, and each of them, with four digits."""

    def rounded(value: float) -> float:
        return float(f"{value:.4g}")

    return {
        "median": rounded(statistics.median(values)),
        "lowest": rounded(min(values)),
        "highest": rounded(max(values)),
        "rounds": len(values),
        "each": [rounded(v) for v in values],
    }
