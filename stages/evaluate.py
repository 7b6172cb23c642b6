"""Score the blended answers on held-out people: figures for `dvc metrics`, tables and pictures for `dvc plots`."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18 import params, runs
from portrait18.classes import AGE, COUNT, NAMES, TASKS
from portrait18.cropping import store
from portrait18.data import tables
from portrait18.ensemble import ensembling, evaluation, metrics
from portrait18.errors import REMAKE, UserError, one_line_errors
from portrait18.files import write_csv, write_json
from portrait18.pictures import plots, sheets

OUT = Path("reports/evaluate")


@one_line_errors
def main() -> None:
    answers = tables.read("data/ensemble/heldout.csv")
    truth = tables.read("data/labels.csv").set_index("photo").loc[answers.photo].reset_index()

    joint = ensembling.joint_of(answers)
    true_class, decided = truth["class"].to_numpy(), answers["class"].to_numpy()
    figures: dict = {
        **metrics.scores(true_class, decided, joint),
        "photos": len(truth),
        "people": truth.person.nunique(),
    }
    figures["baseline"] = evaluation.baseline(true_class, COUNT)
    curves = {}
    for name, task in TASKS.items():
        t = truth["age_group" if task is AGE else name].to_numpy()
        d, p = answers[name].to_numpy(), answers[task.columns].to_numpy()
        figures[name] = {
            **metrics.scores(t, d, p),
            "calibration_error": evaluation.expected_calibration_error(t, p),
            "recall": evaluation.recalls(t, d, task.classes),
            "baseline": evaluation.baseline(t, len(task.classes)),
        }
        plots.confusion(evaluation.confusion(t, d, len(task.classes)), task.classes, OUT / f"confusion_{name}.png")
        write_csv(
            pd.DataFrame({"actual": np.take(task.classes, t), "predicted": np.take(task.classes, d)}),
            OUT / f"confusion_{name}.csv",
        )
        curves[name] = evaluation.calibration(t, p)
        write_csv(curves[name], OUT / f"calibration_{name}.csv")
    years, age = answers.years.to_numpy() if "years" in answers else None, truth.age.to_numpy()
    if years is not None:
        figures["age"]["mean_absolute_error_years"] = float(np.abs(years - age).mean())
    by_decade = evaluation.age_by_decade(age, truth.age_group.to_numpy(), answers.age.to_numpy(), years)
    write_csv(by_decade, OUT / "age_by_decade.csv")
    plots.age_error(by_decade, age, years, OUT / "age_error.png")
    plots.confusion(
        evaluation.confusion(true_class, decided, COUNT),
        [f"{i} {name}" for i, name in enumerate(NAMES)],
        OUT / "confusion.png",
    )
    write_csv(
        pd.DataFrame({"actual": np.take(NAMES, true_class), "predicted": np.take(NAMES, decided)}),
        OUT / "confusion.csv",
    )
    plots.calibration(curves, OUT / "calibration.png")
    write_csv(evaluation.report(true_class, decided), OUT / "classification_report.csv")
    predicted = answers[[*TASKS, "class"]].add_prefix("predicted_")
    write_csv(evaluation.groups(pd.concat([truth, predicted], axis=1)), OUT / "groups.csv")
    mistakes = evaluation.mistakes(truth, decided, joint)
    write_csv(mistakes, OUT / "mistakes.csv")
    pixels, table = store.load(Path("data/crops"), "train")
    shown = evaluation.captions(mistakes, table.photo, sheets.PHOTOS)
    sheets.contact_sheet(pixels, shown, OUT / "mistakes.png", sheets.LARGE, none="no mistakes")
    p = params.load()
    wanted = [run for of_model in runs.wanted(p.matrix, p.second).values() for run in of_model]
    runs.forget_others(runs.LIVE, (run.live for run in wanted))
    plots.learning_curves(
        {str(run): _history(run.live / "plots/metrics") for run in wanted}, OUT / "learning_curves.png"
    )
    write_json(figures, "reports/metrics.json")
    print(
        f"held out: macro-F1 {figures['macro_f1']:.3f}, accuracy {figures['accuracy']:.3f} over 18 classes ({figures['people']} people)"
    )


def _history(folder: Path) -> pd.DataFrame:
    try:
        parts = {
            key: pd.read_csv(folder / f"{key}.tsv", sep="\t").set_index("step")[key].astype(float)
            for key in ("macro_f1", "loss", "train_loss")
        }
    except (FileNotFoundError, KeyError, ValueError) as error:
        reason = str(error)
        raise UserError(f"{folder} is damaged ({' '.join(reason.split())}); {REMAKE}") from None
    return pd.DataFrame(parts).reset_index()


if __name__ == "__main__":
    main()
