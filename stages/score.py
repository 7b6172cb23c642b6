"""Score the submission if the data set has answers. No other stage reads them."""

from pathlib import Path

from portrait18.core import params
from portrait18.core.files import write_json
from portrait18.evaluation import score

MAX_WARNINGS = 20  # lines, as in `make demo`


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
    _show_warnings(Path("reports/check.txt"))


def _show_warnings(path: Path) -> None:
    """Print the warnings of the stage check, which DVC does not repeat when it is cached."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines != ["no warnings"]:
        print(f"The data have warnings ({path}):", *lines[:MAX_WARNINGS], sep="\n")
