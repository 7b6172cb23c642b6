"""Read and write reports/runs.csv: one line per run of a recipe, with its metrics.

The file is in git, so the results outlive DVC's experiments.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset.tables import read_user_csv, write_csv
from recipes.values import Tree, flatten

FILE = Path("reports/runs.csv")
#: Column of a metric -> the file that holds it, and its key there.
METRICS = {
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
class RecipeResult:
    """One run of a recipe.

    Attributes:
        recipe: name of the recipe.
        seed: seed of the trainings; 0+1 where one run averages the models of two seeds.
        extra_overrides: values set on the command line, as `key=value; key=value`.
        experiment: name of DVC's experiment.
        commit: commit that the run started from; ends in + if the code had other changes.
        digest: digest of the recipe's values; shows whether the recipe was changed later.
        minutes: duration.
        finished: UTC, ISO 8601; empty if the run was stopped or failed.
        data: value of `data.root`.
        people: people in `train/`, or None if the run did not finish.
        validation_people: people among them in a validation fold.
        eval_photos: photos of the evaluation set.
        validation_macro_f1: joint macro-F1 over the 18 classes on validation people.
        validation_age_macro_f1: macro-F1 of the age groups on validation people.
        eval_macro_f1: joint macro-F1 on the evaluation set, or None without its answers.
        eval_mask_accuracy: accuracy of the mask on the evaluation set.
        eval_gender_accuracy: accuracy of the gender on the evaluation set.
        eval_age_macro_f1: macro-F1 of the age groups on the evaluation set.
    """

    recipe: str
    seed: str
    extra_overrides: str
    experiment: str
    commit: str
    digest: str
    minutes: float
    finished: str
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
    def dataset(self) -> tuple:
        """What has to be equal for two results to be comparable."""
        return self.data, self.people, self.validation_people, self.eval_photos

    @property
    def metrics(self) -> tuple:
        """All metrics, in the order of `METRICS`."""
        return tuple(getattr(self, name) for name in METRICS)


COLUMNS = [field.name for field in dataclasses.fields(RecipeResult)]


def digest(values: Tree) -> str:
    """Return eight characters that depend on a recipe's values, but not on their order or seeds."""
    flat = {key: value for key, value in flatten(values).items() if key != "matrix.seeds"}
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:8]


def read() -> list[RecipeResult]:
    """Return all results in the order of the file; an empty list if there is no file.

    Raises:
        UserError: A column is missing, or all cells that should be numbers but are not.
    """
    if not FILE.exists():
        return []
    table, problems, results = read_user_csv(FILE, COLUMNS), [], []
    for number, row in table[COLUMNS].iterrows():
        cells: dict = row.to_dict()
        for name in ("minutes", *COUNTS, *METRICS):
            try:
                cells[name] = float(cells[name]) if cells[name] else None
            except ValueError:
                problems.append(
                    f"{FILE} line {number}: {name} {cells[name]!r} must be a number or empty"
                )
        cells["minutes"] = cells["minutes"] or 0.0
        results.append(RecipeResult(**cells))
    if problems:
        raise UserError(problems)
    return results


def append(result: RecipeResult) -> None:
    """Add a line. The file is replaced as a whole, so a kill leaves the old or the new one."""
    rows = [dataclasses.asdict(each) for each in [*read(), result]]
    write_csv(pd.DataFrame(rows, columns=COLUMNS), FILE)
