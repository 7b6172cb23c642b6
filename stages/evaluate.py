"""Score the predictions of the validation people: metrics, tables and plots."""

from pathlib import Path

import numpy as np
import pandas as pd

from portrait18.core import params, runs
from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import write_json
from portrait18.dataset import crop_store, tables
from portrait18.dataset.classes import CLASS_NAMES, NUM_CLASSES, TASKS
from portrait18.dataset.confusion import confusion_matrix
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import analysis, voting
from portrait18.models import metrics
from portrait18.visualization import contact_sheets, plots

OUT = Path("reports/evaluate")


def main() -> None:
    predictions = tables.read("data/ensemble/validation.csv")
    truth = tables.read("data/labels.csv").set_index("photo").loc[predictions.photo].reset_index()
    scores = _metrics(truth, predictions)
    _write_confusion(truth, predictions)
    _write_calibration(truth, predictions)
    _write_age_errors(truth, predictions)
    _write_mistakes(truth, predictions)
    classes, predicted = truth["class"].to_numpy(), predictions["class"].to_numpy()
    write_csv(analysis.class_report(classes, predicted), OUT / "classification_report.csv")
    renamed = predictions[[*TASKS, "class"]].add_prefix("predicted_")
    by_group = analysis.accuracy_by_group(pd.concat([truth, renamed], axis=1))
    write_csv(by_group, OUT / "groups.csv")
    _plot_learning_curves()
    write_json(scores, "reports/metrics.json")
    print(
        f"validation: macro-F1 {scores['macro_f1']:.3f}, accuracy {scores['accuracy']:.3f}"
        f" over 18 classes ({scores['people']} people)"
    )


def _metrics(truth: pd.DataFrame, predictions: pd.DataFrame) -> dict:
    """Return the content of reports/metrics.json."""
    classes, predicted = truth["class"].to_numpy(), predictions["class"].to_numpy()
    result: dict = {
        **metrics.scores(classes, predicted, voting.joint_of(predictions)),
        "photos": len(truth),
        "people": truth.person.nunique(),
        "baseline": analysis.baseline(classes, NUM_CLASSES),
    }
    for name, task in TASKS.items():
        classes, predicted = truth[task.label_column].to_numpy(), predictions[name].to_numpy()
        probabilities = predictions[task.columns].to_numpy()
        result[name] = {
            **metrics.scores(classes, predicted, probabilities),
            "calibration_error": analysis.expected_calibration_error(classes, probabilities),
            "recall": analysis.recalls(classes, predicted, task.classes),
            "baseline": analysis.baseline(classes, len(task.classes)),
        }
    if "years" in predictions:
        error = np.abs(predictions.years.to_numpy() - truth.age.to_numpy())
        result["age"]["mean_absolute_error_years"] = float(error.mean())
    return result


def _write_confusion(truth: pd.DataFrame, predictions: pd.DataFrame) -> None:
    for name, task in TASKS.items():
        classes, predicted = truth[task.label_column].to_numpy(), predictions[name].to_numpy()
        counts = confusion_matrix(classes, predicted, len(task.classes))
        plots.confusion(counts, task.classes, OUT / f"confusion_{name}.png")
        _write_pairs(classes, predicted, task.classes, OUT / f"confusion_{name}.csv")
    classes, predicted = truth["class"].to_numpy(), predictions["class"].to_numpy()
    counts = confusion_matrix(classes, predicted, NUM_CLASSES)
    names = [f"{i} {name}" for i, name in enumerate(CLASS_NAMES)]
    plots.confusion(counts, names, OUT / "confusion.png")
    _write_pairs(classes, predicted, CLASS_NAMES, OUT / "confusion.csv")


def _write_pairs(
    actual: np.ndarray, predicted: np.ndarray, names: tuple[str, ...] | list[str], path: Path
) -> None:
    """Write the two classes of each photo, as DVC's template `confusion` reads them."""
    pairs = {"actual": np.take(names, actual), "predicted": np.take(names, predicted)}
    write_csv(pd.DataFrame(pairs), path)


def _write_calibration(truth: pd.DataFrame, predictions: pd.DataFrame) -> None:
    curves = {}
    for name, task in TASKS.items():
        probabilities = predictions[task.columns].to_numpy()
        curves[name] = analysis.calibration(truth[task.label_column].to_numpy(), probabilities)
        write_csv(curves[name], OUT / f"calibration_{name}.csv")
    plots.calibration(curves, OUT / "calibration.png")


def _write_age_errors(truth: pd.DataFrame, predictions: pd.DataFrame) -> None:
    age, group = truth.age.to_numpy(), truth.age_group.to_numpy()
    years = predictions.years.to_numpy() if "years" in predictions else None
    by_decade = analysis.age_by_decade(age, group, predictions.age.to_numpy(), years)
    write_csv(by_decade, OUT / "age_by_decade.csv")
    plots.age_error(by_decade, age, years, OUT / "age_error.png")


def _write_mistakes(truth: pd.DataFrame, predictions: pd.DataFrame) -> None:
    joint = voting.joint_of(predictions)
    mistakes = analysis.mistakes(truth, predictions["class"].to_numpy(), joint)
    write_csv(mistakes, OUT / "mistakes.csv")
    pixels, table = crop_store.load(Path("data/crops"), "train")
    captions = analysis.captions(mistakes, table.photo, contact_sheets.MAX_PHOTOS)
    contact_sheets.contact_sheet(
        pixels, captions, OUT / "mistakes.png", contact_sheets.LARGE, empty_text="no mistakes"
    )


def _plot_learning_curves() -> None:
    p = params.load()
    histories = {
        str(run): _history(run.live / "plots/metrics")
        for members in runs.runs_by_model(p.matrix, p.pseudo_label).values()
        for run in members
    }
    plots.learning_curves(histories, OUT / "learning_curves.png")


def _history(folder: Path) -> pd.DataFrame:
    """Return step, macro_f1, loss and train_loss of one training."""
    try:
        parts = {
            key: pd.read_csv(folder / f"{key}.tsv", sep="\t").set_index("step")[key].astype(float)
            for key in ("macro_f1", "loss", "train_loss")
        }
    except (FileNotFoundError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder} is corrupt ({reason}); {REPAIR_HINT}") from None
    return pd.DataFrame(parts).reset_index()
