"""reports/ledger.md: one row for each recipe that was run, children under what they start from."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write
from recipes import chain, runs
from recipes.runs import Run

FILE = Path("reports/ledger.md")
NONE = "–"
HEAD = """\
# Ledger of experiments

One row for each recipe that was run, under the one it starts from. Written by `make ledger` out of `reports/runs.csv`,
to which `make recipe NAME=x SEED=n` adds a line.

{data}

- **changes**: the recipe's first sentence, then the overrides that differ from its parent's, `~` before one that is
  taken back; without a parent, how many overrides of `params.yaml` its file holds.
- **seeds**: of the trainings, one run each; `0+1` is one run that averages the models of both. Several runs: mean ±
  half the spread (lowest..highest). The people stay the same, so the spread tells luck in training from gain; it
  does not tell how other people would score. Where a recipe and seed was run twice, the later run counts.
- **held-out F1**: joint macro-F1 over the 18 classes on people held out of the training that scores them (which
  also chose epochs and blend); **eval F1**: the same on the photos to label, against their answers, and there too
  **mask acc** and **gender acc**, the accuracy, and **age F1**, the macro-F1. {none}: no answers.
- **against parent**: eval F1 minus the parent's, seed by seed over the seeds that both ran (the difference of the
  means where they share none); {none} where the parent was not run on the same data.
- **minutes**: of one run, mean over the seeds, and only of what had to be run anew: stages that an earlier row had
  run alike come from DVC's cache. They depend on the order of the runs and on the machine.

| recipe | parent | changes | seeds | held-out F1 | eval F1 | mask acc | gender acc | age F1 | against parent | minutes |
|---|---|---|---|---|---|---|---|---|---|---|
"""


class Row(NamedTuple):
    """What the ledger says of one recipe, run with the same overrides beside it and as many seeds in one run."""

    recipe: str
    also: str
    runs: dict[str, Run]  # seed -> the run that counts
    minutes: float  # of a seed, mean over the seeds

    @property
    def last(self) -> Run:
        return max(self.runs.values(), key=lambda run: run.finished)

    def values(self, figure: str) -> dict[str, float]:
        """Seed -> figure, where there is one."""
        return {s: v for s, r in self.runs.items() if (v := getattr(r, figure)) is not None}


def rows(known: list[Run]) -> list[Row]:
    """Runs put together; those before a change of the recipe or of the data do not count any more."""

    def key(run: Run) -> tuple:
        return run.recipe, run.also, run.seed.count("+")

    return [row for _, group in groupby(sorted(known, key=key), key) if (row := _row(list(group)))]


def _row(group: list[Run]) -> Row | None:
    finished = sorted((run for run in group if run.finished), key=lambda run: run.finished)
    if not finished:
        return None
    last = finished[-1]
    same = [r for r in finished if (r.overrides, r.data_used) == (last.overrides, last.data_used)]
    counted = {run.seed: run for run in same}

    def pieces(run: Run) -> float:
        """Minutes of a run that was stopped and gone on with; running it again out of the cache adds next to none."""
        alike = (r for r in group if (r.seed, r.overrides) == (run.seed, run.overrides))
        return sum(r.minutes for r in alike if not r.finished or r.figures == run.figures)

    seeds = sorted(counted, key=lambda text: [int(s) for s in text.split("+")])
    return Row(
        last.recipe,
        last.also,
        {s: counted[s] for s in seeds},
        mean(pieces(r) for r in counted.values()),
    )


def spread(values: list[float], form: str = ".3f") -> str:
    """`mean ± half the spread (lowest..highest)`, the mean alone for one value."""
    if not values:
        return NONE
    if len(values) == 1:
        return f"{values[0]:{form}}"
    low, high = min(values), max(values)
    return f"{mean(values):{form}} ± {(high - low) / 2:.3f} ({low:{form}}..{high:{form}})"


def against(row: Row, parent: Row | None) -> str:
    """Difference of the joint macro-F1 on the photos to label, over the seeds that both ran."""
    if parent is None or parent.last.data_used != row.last.data_used:
        return NONE
    own, theirs = row.values("eval_macro_f1"), parent.values("eval_macro_f1")
    if not own or not theirs:
        return NONE
    shared = [own[s] - theirs[s] for s in own if s in theirs]
    return spread(shared or [mean(own.values()) - mean(theirs.values())], "+.3f")


def tree(names: list[str], parent_of: Callable[[str], str | None]) -> list[tuple[int, str]]:
    """(depth, name) with parents before their children, siblings in alphabetical order."""

    def under(parent: str | None, depth: int) -> list[tuple[int, str]]:
        own = sorted(name for name in names if parent_of(name) == parent)
        return [line for name in own for line in [(depth, name), *under(name, depth + 1)]]

    return under(None, 0)


def _cells(row: Row, depth: int, recipe: chain.Recipe | None, parent: Row | None) -> list[str]:
    name, says = row.recipe, "its file is no longer in recipes/"
    if recipe:
        name = f"[{row.recipe}](../recipes/{row.recipe}.txt)"
        lines = chain.changes(row.recipe)
        told = (
            "".join(f" `{line}`" for line in lines)
            if recipe.parent
            else f" (overrides: {len(lines)})"
        )
        says = recipe.says + told
        if row.last.overrides != runs.digest(chain.resolve(row.recipe).values()):
            says += " **The recipe was changed after this run.**"
    figures = (
        "validation_macro_f1",
        "eval_macro_f1",
        "eval_mask_accuracy",
        "eval_gender_accuracy",
        "eval_age_macro_f1",
    )
    return [
        "· " * depth + name + (f" with `{row.also}`" if row.also else ""),
        recipe.parent or NONE if recipe else NONE,
        says,
        " ".join(row.runs),
        *(spread(list(row.values(figure).values())) for figure in figures),
        against(row, parent),
        f"{row.minutes:.1f}",
    ]


def _parent_row(row: Row, all_rows: list[Row], parent: str | None) -> Row | None:
    """The parent's row with the same overrides beside the recipe; best with as many seeds in one run."""

    def seeds_in_one(other: Row) -> int:
        return other.last.seed.count("+")

    candidates = [r for r in all_rows if r.recipe == parent and r.also == row.also]
    return min(candidates, key=lambda r: abs(seeds_in_one(r) - seeds_in_one(row)), default=None)


def render(known: list[Run]) -> str:
    """The whole page.

    Raises:
        UserError: all recipes that cannot be read.
    """
    recipes, problems = {}, {}
    for name in chain.known():
        try:
            recipes[name] = chain.lineage(name)[-1]
        except UserError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise UserError(problems)
    all_rows = rows(known)
    order = tree(list(recipes), lambda name: recipes[name].parent)
    order += [(0, name) for name in sorted({r.recipe for r in all_rows} - set(recipes))]
    lines = []
    for depth, name in order:
        recipe = recipes.get(name)
        for row in (r for r in all_rows if r.recipe == name):
            parent = _parent_row(row, all_rows, recipe.parent) if recipe else None
            cells = _cells(row, depth, recipe, parent)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    used = sorted({row.last.data_used for row in all_rows}, key=str)
    told = "\n".join(f"Data: {_data(*data)}." for data in used) or "Data: no run yet."
    page = HEAD.format(data=told, none=NONE) + "".join(lines)
    idle = [name for _, name in order if name not in {r.recipe for r in all_rows}]
    if idle:
        page += "\n## Not run here\n\n" + "".join(
            f"- {name}: {recipes[name].says}\n" for name in idle
        )
    return page


def _data(folder: str, people: float | None, validation: float | None, photos: float | None) -> str:
    def count(value: float | None) -> str:
        return "?" if value is None else f"{value:,.0f}"

    return f"`{folder}`, {count(people)} people to train on ({count(validation)} of them held out), {count(photos)} photos to label"


def write() -> None:
    with atomic_write(FILE) as tmp_path:
        tmp_path.write_text(render(runs.read()), encoding="utf-8")
    print(FILE)
