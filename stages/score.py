"""Score the submission if the data set has answers. No other stage reads them."""

from pathlib import Path

from portrait18.core import params
from portrait18.core.files import write_json
from portrait18.evaluation import score


def main() -> None:
    answers = params.load().data.root / "eval/answers.csv"
    metrics = {}
    if answers.exists():
        metrics = score.compare(score.read(Path("data/submission.csv")), score.read(answers))
        print(
            f"evaluation set: macro-F1 {metrics['macro_f1']:.3f},"
            f" accuracy {metrics['accuracy']:.3f} over 18 classes"
        )
    else:
        print(f"no {answers}: the submission can't be scored here")
    write_json(metrics, "reports/score.json")
