"""Write reports/ledger.md: one row per recipe that was run, each under its base."""

from collections.abc import Callable
from pathlib import Path

from portrait18.core.errors import UserError
from portrait18.core.files import atomic_write
from recipes import loader, results
from recipes.loader import Recipe
from recipes.results import RecipeResult
from recipes.rows import NONE, Row, difference, is_current, rows, spread
from recipes.values import to_line

FILE = Path("reports/ledger.md")
HEAD = """\
# Ledger of experiments

One row per recipe that was run, under the recipe it builds on. `make ledger` writes this page
from `reports/runs.csv`. `make recipe NAME=x SEED=n` adds a line to that file.

Data of the runs:

{datasets}

Columns:

- **changes**: the first sentence of the recipe, then the values that differ from its base.
  `null` resets a value of the base to that of params.yaml. Without a base: the number of values
  that it sets.
- **seeds**: seeds of the trainings, one run each. `0+1` is one run that averages the models of
  both. Several runs give the mean ± half the range (lowest..highest). The people stay the same,
  so the range shows the variance of training, not that of other people. If a recipe was run
  twice with a seed, the later run counts.
- **validation F1**: joint macro-F1 over the 18 classes on validation people. They also selected
  epochs and ensemble. **eval F1**: the same on the evaluation set. **mask acc**, **gender acc**:
  accuracy there. **age F1**: macro-F1 there. {none}: no answers.
- **validation vs base**, **eval vs base**: validation F1 and eval F1 minus those of the base, for
  each seed that both ran (the difference of the means if they share none). The difference over more
  people is more reliable. {none}: no base, no answers, other data, or one of the two recipes was
  changed after its run.
- **commits**: where the runs started from, in the order of the seeds.
- **minutes**: of one run, mean over the seeds. Stages that an earlier run had in common come from
  DVC's cache and take no time, so minutes depend on the order of the runs and on the machine.

"""
_COLUMNS = {
    "validation F1": "validation_macro_f1",
    "eval F1": "eval_macro_f1",
    "mask acc": "eval_mask_accuracy",
    "gender acc": "eval_gender_accuracy",
    "age F1": "eval_age_macro_f1",
}
_DIFFERENCES = {
    "validation vs base": "validation_macro_f1",
    "eval vs base": "eval_macro_f1",
}
_HEADER = ["recipe", "base", "changes", "seeds", *_COLUMNS, *_DIFFERENCES, "commits", "minutes"]


def tree(names: list[str], base_of: Callable[[str], str | None]) -> list[tuple[int, str]]:
    """Return (depth, name), each base before the recipes on it, siblings in alphabetical order."""

    def under(base: str | None, depth: int) -> list[tuple[int, str]]:
        own = sorted(name for name in names if base_of(name) == base)
        return [line for name in own for line in [(depth, name), *under(name, depth + 1)]]

    return under(None, 0)


def _changes(row: Row, recipe: Recipe | None) -> str:
    if not recipe:
        return "no longer in recipes/"
    values = loader.changes(row.recipe)
    listed = "".join(f" `{key}: {to_line(value)}`" for key, value in values.items())
    text = recipe.summary + (listed if recipe.base else f" ({len(values)} values)")
    if not is_current(row):
        text += " **The recipe was changed after this run.**"
    return text


def _line(row: Row, depth: int, recipe: Recipe | None, base: Row | None) -> str:
    name = f"[{row.recipe}](../{loader.path_of(row.recipe)})" if recipe else row.recipe
    extra = f" with `{row.extra_overrides}`" if row.extra_overrides else ""
    return _table_line(
        [
            "· " * depth + name + extra,
            (recipe.base if recipe else None) or NONE,
            _changes(row, recipe),
            " ".join(row.runs),
            *(spread(list(row.values(metric).values())) for metric in _COLUMNS.values()),
            *(difference(row, base, metric) for metric in _DIFFERENCES.values()),
            " ".join(row.commits),
            f"{row.minutes:.1f}",
        ]
    )


def _table_line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _base_row(row: Row, all_rows: list[Row], base: str | None) -> Row | None:
    """Return the base's row with equal extra overrides and the closest number of seeds per run."""
    candidates = [
        r for r in all_rows if r.recipe == base and r.extra_overrides == row.extra_overrides
    ]
    return min(candidates, key=lambda r: abs(r.extra_seeds - row.extra_seeds), default=None)


def _read_recipes() -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    problems: dict[str, None] = {}  # a base that can't be read is a problem of many recipes
    for name in loader.names():
        try:
            loader.resolve(name)
            recipes[name] = loader.read(name)
        except UserError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise UserError(problems)
    return recipes


def render(runs: list[RecipeResult]) -> str:
    """Return the page.

    Raises:
        UserError: All recipes that can't be read.
    """
    recipes = _read_recipes()
    all_rows = rows(runs)
    run_recipes = {row.recipe for row in all_rows}
    order = tree(list(recipes), lambda name: recipes[name].base)
    order += [(0, name) for name in sorted(run_recipes - set(recipes))]
    datasets = sorted({row.last.dataset for row in all_rows}, key=str)
    listed = "\n".join(map(_describe_dataset, datasets)) or "- none, no recipe was run yet"
    page = HEAD.format(datasets=listed, none=NONE)
    page += _table_line(_HEADER) + "|---" * len(_HEADER) + "|\n"
    for depth, name in order:
        recipe = recipes.get(name)
        for row in (r for r in all_rows if r.recipe == name):
            base = _base_row(row, all_rows, recipe.base) if recipe else None
            page += _line(row, depth, recipe, base)
    idle = [name for _, name in order if name not in run_recipes]
    if idle:
        page += "\n## Not run\n\n| recipe | changes |\n|---|---|\n"
        page += "".join(_table_line([name, recipes[name].summary]) for name in idle)
    return page


def _describe_dataset(dataset: tuple) -> str:
    folder, *counts = dataset
    people, validation, photos = ("?" if n is None else f"{n:,.0f}" for n in counts)
    return (
        f"- `{folder}`: {people} people in train/ ({validation} for validation),"
        f" {photos} evaluation photos"
    )


def write() -> None:
    """Write the page and print its path."""
    with atomic_write(FILE) as tmp_path:
        tmp_path.write_text(render(results.read()), encoding="utf-8")
    print(FILE)
