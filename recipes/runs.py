"""reports/runs.csv: one line for each run of a recipe, with its figures, so that they outlive DVC's experiments."""

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset.tables import read_user_csv, write_csv
from recipes.chain import Override

FILE = Path("reports/runs.csv")
#: Column of a figure -> the file of metrics that holds it, and where in it.
FIGURES = {
    "validation_macro_f1": ("reports/metrics.json", "macro_f1"),
    "validation_age_macro_f1": ("reports/metrics.json", "age.macro_f1"),
    "eval_macro_f1": ("reports/score.json", "macro_f1"),
    "eval_mask_accuracy": ("reports/score.json", "mask.accuracy"),
    "eval_gender_accuracy": ("reports/score.json", "gender.accuracy"),
    "eval_age_macro_f1": ("reports/score.json", "age.macro_f1"),
}
#: Column of a count -> likewise.
COUNTS = {
    "people": ("reports/check.json", "train.people"),
    "validation_people": ("reports/metrics.json", "people"),
    "eval_photos": ("reports/check.json", "eval.photos"),
}


@dataclass(frozen=True)
class Run:
    """One run; figures and counts are None where it did not finish or where there are no answers to score against."""

    recipe: str
    seed: str  # of the trainings; several that were trained and averaged in one run as 0+1
    also: str  # overrides beside the recipe's
    experiment: str
    commit: str  # that it started from; + behind it: with changes not committed
    overrides: str  # digest of the recipe's overrides, parents' included: tells when the recipe was changed
    minutes: float
    finished: str  # UTC, ISO 8601; empty: stopped or failed
    data: str = ""
    people: float | None = None
    validation_people: float | None = None
    eval_photos: float | None = None
    validation_macro_f1: float | None = None
    validation_age_macro_f1: float | None = None
    eval_macro_f1: float | None = None
    eval_mask_accuracy: float | None = None
    eval_gender_accuracy: float | None = None
    eval_age_macro_f1: float | None = None

    @property
    def data_used(self) -> tuple:
        return self.data, self.people, self.validation_people, self.eval_photos

    @property
    def figures(self) -> tuple:
        return tuple(getattr(self, name) for name in FIGURES)


COLUMNS = [field.name for field in dataclasses.fields(Run)]


def digest(overrides: Iterable[Override]) -> str:
    """Eight characters that change with the overrides, not with their order; seeds are left out."""
    lines = sorted(str(o) for o in overrides if o.key != "matrix.seeds")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def read() -> list[Run]:
    """All runs in the order of the file; none where there is no file.

    Raises:
        UserError: not the columns of `Run`, or all cells that should be numbers and are not.
    """
    if not FILE.exists():
        return []
    table, problems, runs = read_user_csv(FILE, COLUMNS), [], []
    for number, cells in table[COLUMNS].to_dict("index").items():
        for name in ("minutes", *COUNTS, *FIGURES):
            try:
                cells[name] = float(cells[name]) if cells[name] else None
            except ValueError:
                problems.append(
                    f"{FILE} line {number}: {name} {cells[name]!r} must be a number or empty"
                )
        cells["minutes"] = cells["minutes"] or 0.0
        runs.append(Run(**cells))
    if problems:
        raise UserError(problems)
    return runs


def append(run: Run) -> None:
    """Add a line; the file is replaced as a whole, so that a kill leaves the old one or the new one."""
    write_csv(pd.DataFrame([dataclasses.asdict(r) for r in [*read(), run]], columns=COLUMNS), FILE)
