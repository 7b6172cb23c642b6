"""Score the blended answers on held-out people: figures for `dvc metrics`, tables and pictures for `dvc plots`."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params, runs
from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import write_json
from portrait18.dataset import crop_store, tables
from portrait18.dataset.classes import CLASS_NAMES, NUM_CLASSES, TASKS
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import analysis, voting
from portrait18.models import metrics
from portrait18.visualization import contact_sheets, plots

OUT = Path("reports/evaluate")


def main() -> None:
    answers = tables.read("data/ensemble/validation.csv")
    truth = tables.read("data/labels.csv").set_index("photo").loc[answers.photo].reset_index()

    joint = voting.joint_of(answers)
    true_class, decided = truth["class"].to_numpy(), answers["class"].to_numpy()
    figures: dict = {
        **metrics.scores(true_class, decided, joint),
        "photos": len(truth),
        "people": truth.person.nunique(),
    }
    figures["baseline"] = analysis.baseline(true_class, NUM_CLASSES)
    curves = {}
    for name, task in TASKS.items():
        t = truth[task.label_column].to_numpy()
        d, p = answers[name].to_numpy(), answers[task.columns].to_numpy()
        figures[name] = {
            **metrics.scores(t, d, p),
            "calibration_error": analysis.expected_calibration_error(t, p),
            "recall": analysis.recalls(t, d, task.classes),
            "baseline": analysis.baseline(t, len(task.classes)),
        }
        plots.confusion(
            analysis.confusion(t, d, len(task.classes)), task.classes, OUT / f"confusion_{name}.png"
        )
        write_csv(
            pd.DataFrame(
                {"actual": np.take(task.classes, t), "predicted": np.take(task.classes, d)}
            ),
            OUT / f"confusion_{name}.csv",
        )
        curves[name] = analysis.calibration(t, p)
        write_csv(curves[name], OUT / f"calibration_{name}.csv")
    years, age = answers.years.to_numpy() if "years" in answers else None, truth.age.to_numpy()
    if years is not None:
        figures["age"]["mean_absolute_error_years"] = float(np.abs(years - age).mean())
    by_decade = analysis.age_by_decade(
        age, truth.age_group.to_numpy(), answers.age.to_numpy(), years
    )
    write_csv(by_decade, OUT / "age_by_decade.csv")
    plots.age_error(by_decade, age, years, OUT / "age_error.png")
    plots.confusion(
        analysis.confusion(true_class, decided, NUM_CLASSES),
        [f"{i} {name}" for i, name in enumerate(CLASS_NAMES)],
        OUT / "confusion.png",
    )
    write_csv(
        pd.DataFrame(
            {"actual": np.take(CLASS_NAMES, true_class), "predicted": np.take(CLASS_NAMES, decided)}
        ),
        OUT / "confusion.csv",
    )
    plots.calibration(curves, OUT / "calibration.png")
    write_csv(analysis.report(true_class, decided), OUT / "classification_report.csv")
    predicted = answers[[*TASKS, "class"]].add_prefix("predicted_")
    write_csv(analysis.groups(pd.concat([truth, predicted], axis=1)), OUT / "groups.csv")
    mistakes = analysis.mistakes(truth, decided, joint)
    write_csv(mistakes, OUT / "mistakes.csv")
    pixels, table = crop_store.load(Path("data/crops"), "train")
    shown = analysis.captions(mistakes, table.photo, contact_sheets.MAX_PHOTOS)
    contact_sheets.contact_sheet(
        pixels, shown, OUT / "mistakes.png", contact_sheets.LARGE, empty_text="no mistakes"
    )
    p = params.load()
    wanted = [
        run
        for of_model in runs.runs_by_model(p.matrix, p.pseudo_label).values()
        for run in of_model
    ]
    plots.learning_curves(
        {str(run): _history(run.live / "plots/metrics") for run in wanted},
        OUT / "learning_curves.png",
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
        raise UserError(
            f"{folder} is damaged ({' '.join(reason.split())}); {REPAIR_HINT}"
        ) from None
    return pd.DataFrame(parts).reset_index()
