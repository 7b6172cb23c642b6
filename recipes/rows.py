"""Rows of the ledger: the runs of one recipe that count, and their scores."""

from dataclasses import dataclass
from itertools import groupby
from statistics import mean

from recipes import loader, results
from recipes.results import RecipeResult

NONE = "-"  # where a row has no value


@dataclass(frozen=True)
class Row:
    """Results of one recipe with the same extra overrides and as many seeds per run.

    Attributes:
        recipe: name of the recipe.
        extra_overrides: values set on the command line.
        runs: seed -> the run that counts.
        minutes: duration per seed, mean over the seeds.
    """

    recipe: str
    extra_overrides: str
    runs: dict[str, RecipeResult]
    minutes: float

    @property
    def last(self) -> RecipeResult:
        """The latest run."""
        return max(self.runs.values(), key=lambda run: run.finished)

    @property
    def extra_seeds(self) -> int:
        """Seeds per run, less one."""
        return self.last.seed.count("+")

    @property
    def commits(self) -> list[str]:
        """The commits of the runs, each once."""
        return list(dict.fromkeys(run.commit for run in self.runs.values()))

    def values(self, metric: str) -> dict[str, float]:
        """Return the metric by seed, where there is one."""
        found = {seed: getattr(run, metric) for seed, run in self.runs.items()}
        return {seed: value for seed, value in found.items() if value is not None}


def rows(runs: list[RecipeResult]) -> list[Row]:
    """Group runs into rows, without those from before a change of the recipe or of the data."""

    def key(run: RecipeResult) -> tuple:
        return run.recipe, run.extra_overrides, run.seed.count("+")

    groups = (list(group) for _, group in groupby(sorted(runs, key=key), key))
    return [row for group in groups if (row := _row(group))]


def _row(group: list[RecipeResult]) -> Row | None:
    finished = sorted((run for run in group if run.finished), key=lambda run: run.finished)
    if not finished:
        return None
    last = finished[-1]
    same = [r for r in finished if (r.digest, r.dataset) == (last.digest, last.dataset)]
    counted = {run.seed: run for run in same}

    def minutes(run: RecipeResult) -> float:
        """Add up the parts of a run that was resumed; a run from the cache adds next to nothing."""
        alike = (r for r in group if (r.seed, r.digest) == (run.seed, run.digest))
        return sum(r.minutes for r in alike if not r.finished or r.metrics == run.metrics)

    seeds = sorted(counted, key=lambda text: [int(s) for s in text.split("+")])
    return Row(
        last.recipe,
        last.extra_overrides,
        {s: counted[s] for s in seeds},
        mean(minutes(run) for run in counted.values()),
    )


def spread(values: list[float], form: str = ".3f") -> str:
    """Format values as `mean ± half the range (lowest..highest)`; one value unchanged."""
    if not values:
        return NONE
    if len(values) == 1:
        return f"{values[0]:{form}}"
    low, high = min(values), max(values)
    return f"{mean(values):{form}} ± {(high - low) / 2:.3f} ({low:{form}}..{high:{form}})"


def is_current(row: Row) -> bool:
    """Return whether the runs had the present values of the recipe."""
    return row.last.digest == results.digest(loader.resolve(row.recipe))


def difference(row: Row, base: Row | None, metric: str) -> str:
    """Format the difference of a metric, by common seeds, if the two rows are comparable."""
    if base is None or base.last.dataset != row.last.dataset:
        return NONE
    if not (is_current(row) and is_current(base)):
        return NONE
    own, theirs = row.values(metric), base.values(metric)
    if not own or not theirs:
        return NONE
    shared = [own[s] - theirs[s] for s in own if s in theirs]
    return spread(shared or [mean(own.values()) - mean(theirs.values())], "+.3f")
