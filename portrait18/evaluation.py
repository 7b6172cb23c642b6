"""What a report says beside the scores: baseline, calibration, recall per class, confusion, tables per group."""

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report, confusion_matrix, recall_score

from portrait18.classes import ALL, COUNT, NAMES, TASKS
from portrait18.metrics import macro_f1


def baseline(truth: np.ndarray, count: int) -> dict[str, float]:
    """Macro-F1 and accuracy of always answering the most frequent class."""
    most = np.full_like(truth, np.bincount(truth, minlength=count).argmax())
    return {"macro_f1": macro_f1(truth, most, count), "accuracy": float(np.mean(truth == most))}


def expected_calibration_error(truth: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, Guo et al. 2017; 0 is perfect."""
    table = calibration(truth, probabilities, bins)
    return float((table.photos * (table.confidence - table.accuracy).abs()).sum() / table.photos.sum())


def calibration(truth: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Per bin of confidence that has photos: mean confidence, accuracy, photos."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": which, "confidence": confidence, "accuracy": right, "photos": 1})
    return (
        table.groupby("bin", as_index=False)
        .agg({"confidence": "mean", "accuracy": "mean", "photos": "sum"})
        .drop(columns="bin")
    )


def recalls(truth: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """Recall of each class by its name."""
    values = recall_score(truth, predicted, labels=range(len(names)), average=None, zero_division=0)
    return dict(zip(names, map(float, values), strict=True))


def report(classes: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """scikit-learn's classification report of the 18 classes: class, precision, recall, f1-score, support."""
    result = classification_report(
        classes, predicted, labels=range(COUNT), target_names=NAMES, output_dict=True, zero_division=0
    )
    rows = {name: result[name] for name in [*NAMES, "macro avg"]}
    return pd.DataFrame(rows).T.rename_axis("class").reset_index()


def confusion(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Counts (count, count); rows are the truth."""
    return confusion_matrix(truth, predicted, labels=range(count))


def groups(table: pd.DataFrame) -> pd.DataFrame:
    """Scores per gender, age decade and mask state.

    Args:
        table: one row a photo, with the truth (mask, gender, age in years, age_group, class), and what
            was predicted (predicted_mask, predicted_gender, predicted_age, predicted_class).

    Returns:
        group, value, photos, then accuracy for each task and for the 18 classes.
    """
    keys = {
        "gender": table.gender.map(dict(enumerate(TASKS["gender"].classes))),
        "age decade": (table.age // 10 * 10).astype(str) + "s",
        "mask": table["mask"].map(dict(enumerate(TASKS["mask"].classes))),
    }
    right = pd.DataFrame(
        {
            "mask": table["mask"] == table.predicted_mask,
            "gender": table.gender == table.predicted_gender,
            "age": table.age_group == table.predicted_age,
            ALL.name: table["class"] == table.predicted_class,
        }
    )
    parts = []
    for name, key in keys.items():
        part = right.groupby(key.to_numpy()).mean().rename(columns=lambda c: f"{c}_accuracy")
        part.insert(0, "photos", right.groupby(key.to_numpy()).size())
        parts.append(part.rename_axis("value").reset_index().assign(group=name))
    together = pd.concat(parts, ignore_index=True)
    return together[["group", "value", *[c for c in together if c not in ("group", "value")]]]
