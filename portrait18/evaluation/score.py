"""Score a submission against the answers, both as ImageID,ans with classes 0 to 17.

python -m portrait18.evaluation.score data/submission.csv data/demo/eval/answers.csv
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError, cli_errors
from portrait18.dataset import tables
from portrait18.dataset.classes import NUM_CLASSES
from portrait18.evaluation.analysis import baseline
from portrait18.models.metrics import class_scores


def read(path: Path) -> pd.Series:
    """ImageID -> class of a submission or an answers file; `UserError` lists every bad row."""
    table = tables.read_user_csv(path, ["ImageID", "ans"])
    allowed = {str(i) for i in range(NUM_CLASSES)}
    problems = [
        f"{path} line {i}: ans {a!r} must be a whole number from 0 to {NUM_CLASSES - 1}"
        for i, a in table.ans.items()
        if a not in allowed
    ]
    problems += [
        f"{path} line {i}: ImageID {n} is there twice; delete one row"
        for i, n in table.ImageID[table.ImageID.duplicated()].items()
    ]
    if table.empty:
        problems.append(f"{path} has no rows; give each photo one")
    if problems:
        raise UserError(problems)
    return table.set_index("ImageID").ans.astype(np.int64)


def compare(submission: pd.Series, truth: pd.Series) -> dict:
    """Figures of `metrics.class_scores`; the two must name the same photos, in whatever order."""
    missing, extra = (
        truth.index.difference(submission.index),
        submission.index.difference(truth.index),
    )
    if len(missing) or len(extra):
        first = (list(missing) + list(extra))[0]
        raise UserError(
            f"submission and answers name different photos ({len(missing)} missing, {len(extra)} too many, first {first}); score a submission made for these answers"
        )
    return class_scores(truth.to_numpy(), submission.loc[truth.index].to_numpy())


@cli_errors
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m portrait18.evaluation.score",
        description="Macro-F1 and accuracy of a submission, for the 18 classes and each task.",
    )
    parser.add_argument("submission", type=Path, help="CSV with ImageID,ans")
    parser.add_argument("answers", type=Path, help="CSV with ImageID,ans: the truth")
    args = parser.parse_args(argv)
    truth = read(args.answers)
    figures = compare(read(args.submission), truth)
    always = baseline(truth.to_numpy(), NUM_CLASSES)
    print(f"{'':12}{'macro-F1':>10}{'accuracy':>10}")
    for name, row in (
        ("18 classes", figures),
        *((task, figures[task]) for task in ("mask", "gender", "age")),
        ("majority", always),
    ):
        print(f"{name:12}{row['macro_f1']:>10.3f}{row['accuracy']:>10.3f}")


if __name__ == "__main__":
    main()
