"""Score the submission where the data set holds the answers, as the demo's does; no other stage reads them."""

from pathlib import Path

from portrait18.core import params
from portrait18.core.files import write_json
from portrait18.evaluation import score


def main() -> None:
    answers = params.load().data.root / "eval/answers.csv"
    figures = {}
    if answers.exists():
        figures = score.compare(score.read(Path("data/submission.csv")), score.read(answers))
        print(
            f"photos to label: macro-F1 {figures['macro_f1']:.3f}, accuracy {figures['accuracy']:.3f} over 18 classes"
        )
    else:
        print(f"no {answers}: the submission can't be scored here")
    write_json(figures, "reports/score.json")
