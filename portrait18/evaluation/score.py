"""Score a submission against the truth; both are CSV files with ImageID,ans and classes 0 to 17.

python -m portrait18.evaluation.score data/submission.csv data/demo/eval/answers.csv
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError, cli_errors
from portrait18.core.files import path_argument
from portrait18.dataset import tables
from portrait18.dataset.classes import NUM_CLASSES, TASKS
from portrait18.evaluation.analysis import baseline
from portrait18.models.metrics import class_scores


def read(path: Path) -> pd.Series:
    """Return ImageID -> class id of a submission or of the truth.

    Raises:
        UserError: every invalid row.
    """
    table = tables.read_user_csv(path, ["ImageID", "ans"])
    allowed = {str(i) for i in range(NUM_CLASSES)}
    problems = [
        f"{path} line {i}: ans {a!r} must be a whole number from 0 to {NUM_CLASSES - 1}"
        for i, a in table.ans.items()
        if a not in allowed
    ]
    problems += [
        f"{path} line {i}: ImageID {n} occurs twice; delete one row"
        for i, n in table.ImageID[table.ImageID.duplicated()].items()
    ]
    if table.empty:
        problems.append(f"{path} has no rows; add one for each photo")
    if problems:
        raise UserError(problems)
    return table.set_index("ImageID").ans.astype(np.int64)


def compare(submission: pd.Series, truth: pd.Series) -> dict:
    """Return `metrics.class_scores` of a submission.

    Args:
        submission: ImageID -> class id.
        truth: ImageID -> class id, for the same photos in any order.

    Raises:
        UserError: they name different photos.
    """
    missing = truth.index.difference(submission.index)
    extra = submission.index.difference(truth.index)
    if len(missing) or len(extra):
        first = (list(missing) + list(extra))[0]
        raise UserError(
            f"submission and answers name different photos ({len(missing)} missing,"
            f" {len(extra)} too many, first {first}); score a submission made for these answers"
        )
    return class_scores(truth.to_numpy(), submission.loc[truth.index].to_numpy())


@cli_errors
def main(argv: list[str] | None = None) -> None:
    """Print the scores of the submission that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m portrait18.evaluation.score",
        description="Macro-F1 and accuracy of a submission, for the 18 classes and each task.",
    )
    parser.add_argument("submission", type=path_argument, help="CSV with ImageID,ans")
    parser.add_argument("answers", type=path_argument, help="CSV with ImageID,ans: the truth")
    args = parser.parse_args(argv)
    truth = read(args.answers)
    metrics = compare(read(args.submission), truth)
    rows = {
        "18 classes": metrics,
        **{task: metrics[task] for task in TASKS},
        "majority": baseline(truth.to_numpy(), NUM_CLASSES),
    }
    print(f"{'':12}{'macro-F1':>10}{'accuracy':>10}")
    for name, row in rows.items():
        print(f"{name:12}{row['macro_f1']:>10.3f}{row['accuracy']:>10.3f}")


if __name__ == "__main__":
    main()
