"""Tables of the evaluation: baseline, calibration, recall, confusion, subgroups and mistakes."""

import numpy as np
import pandas as pd

from portrait18.dataset.classes import ALL, CLASS_NAMES, NUM_CLASSES, TASKS, decode
from portrait18.dataset.confusion import macro_f1
from portrait18.models.metrics import scores_by_class


def baseline(truth: np.ndarray, count: int) -> dict[str, float]:
    """Return macro-F1 and accuracy of always predicting the most frequent class.

    Args:
        truth: class indices, int (N,).
        count: number of classes.
    """
    most_frequent = np.full_like(truth, np.bincount(truth, minlength=count).argmax())
    return {
        "macro_f1": macro_f1(truth, most_frequent, count),
        "accuracy": float(np.mean(truth == most_frequent)),
    }


def expected_calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, 0 to 1.

    Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Args:
        truth: class indices, int (N,).
        probabilities: float (N, C).
        bins: number of bins.
    """
    table = calibration(truth, probabilities, bins)
    gaps = (table.confidence - table.accuracy).abs()
    return float((table.photos * gaps).sum() / table.photos.sum())


def calibration(truth: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Return mean confidence, accuracy and number of photos of each bin that has photos.

    Args:
        truth: class indices, int (N,).
        probabilities: float (N, C).
        bins: number of equal-width bins of confidence.
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": index, "confidence": confidence, "accuracy": correct, "photos": 1})
    return (
        table.groupby("bin", as_index=False)
        .agg({"confidence": "mean", "accuracy": "mean", "photos": "sum"})
        .drop(columns="bin")
    )


def recalls(truth: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """Return name of a class -> recall.

    Args:
        truth: class indices, int (N,).
        predicted: class indices, int (N,).
        names: names of the classes, in the order of their indices.
    """
    recall = scores_by_class(truth, predicted, len(names)).recall
    return dict(zip(names, recall.tolist(), strict=True))


def class_report(truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Return the scores of the 18 classes and their means, as scikit-learn's classification report.

    Args:
        truth: class ids, int (N,).
        predicted: class ids, int (N,).

    Returns:
        class, precision, recall, f1-score, support.
    """
    scores = scores_by_class(truth, predicted, NUM_CLASSES)
    columns = {
        name: [*values, values.mean()]
        for name, values in (
            ("precision", scores.precision),
            ("recall", scores.recall),
            ("f1-score", scores.f1),
        )
    }
    support = [*scores.support, scores.support.sum()]
    return pd.DataFrame(
        {"class": [*CLASS_NAMES, "macro avg"], **columns, "support": np.array(support, float)}
    )


def accuracy_by_group(table: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies per gender, decade of age and mask state.

    Args:
        table: one row per photo, with the truth (mask, gender, age in years, age_group, class) and
            the predictions (predicted_mask, predicted_gender, predicted_age, predicted_class).

    Returns:
        group, value, photos, and the accuracy of each task and of the 18 classes.
    """
    keys = {
        "gender": table.gender.map(dict(enumerate(TASKS["gender"].classes))),
        "age decade": (table.age // 10 * 10).astype(str) + "s",
        "mask": table["mask"].map(dict(enumerate(TASKS["mask"].classes))),
    }
    correct = pd.DataFrame(
        {
            "mask": table["mask"] == table.predicted_mask,
            "gender": table.gender == table.predicted_gender,
            "age": table.age_group == table.predicted_age,
            ALL.name: table["class"] == table.predicted_class,
        }
    )
    parts = []
    for name, key in keys.items():
        grouped = correct.groupby(key.to_numpy())
        part = grouped.mean().rename(columns=lambda c: f"{c}_accuracy")
        part.insert(0, "photos", grouped.size())
        parts.append(part.rename_axis("value").reset_index().assign(group=name))
    joined = pd.concat(parts, ignore_index=True)
    return joined[["group", "value", *[c for c in joined if c not in ("group", "value")]]]


def age_by_decade(
    age: np.ndarray, group: np.ndarray, predicted: np.ndarray, years: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the errors of age in each decade of the recorded age.

    Args:
        age: recorded age in years, (N,).
        group: true age group, int (N,).
        predicted: predicted age group, int (N,).
        years: expected age in years, (N,), if a model predicts years.

    Returns:
        decade (`20s`), photos, wrong_group (share of photos, 0 to 1), mean_absolute_error_years and
        mean_error_years (expected minus recorded; above 0: estimated too old). The last two are NaN
        without `years`.
    """
    error = np.full(len(age), np.nan) if years is None else years - age
    table = pd.DataFrame(
        {
            "decade": age // 10 * 10,
            "photos": 1,
            "wrong_group": group != predicted,
            "mean_absolute_error_years": np.abs(error),
            "mean_error_years": error,
        }
    )
    columns = {"photos": "sum", **dict.fromkeys(table.columns[2:], "mean")}
    by_decade = table.groupby("decade", as_index=False).agg(columns)
    return by_decade.assign(decade=by_decade.decade.astype(str) + "s")


def mistakes(truth: pd.DataFrame, predicted: np.ndarray, joint: np.ndarray) -> pd.DataFrame:
    """Return the wrong predictions, least probability of the truth first.

    Every person's worst mistake comes before anybody's second: otherwise one hard face would fill
    the contact sheet with its seven photos.

    Args:
        truth: photo, person, age and class of each photo, N rows.
        predicted: class ids, int (N,).
        joint: probabilities of the 18 classes, float (N, 18).

    Returns:
        photo, person, age, truth and predicted (names of classes), probability (of the prediction),
        probability_of_truth, wrong (the tasks that are wrong, such as `gender+age`).
    """
    classes, rows = truth["class"].to_numpy(), np.arange(len(truth))
    true_parts, parts = decode(classes), decode(predicted)
    table = truth[["photo", "person", "age"]].assign(
        truth=np.take(CLASS_NAMES, classes),
        predicted=np.take(CLASS_NAMES, predicted),
        probability=joint[rows, predicted],
        probability_of_truth=joint[rows, classes],
        wrong=["+".join(t for t in TASKS if true_parts[t][i] != parts[t][i]) for i in rows],
    )
    table = table[classes != predicted].sort_values(["probability_of_truth", "photo"])
    rank = table.groupby("person").cumcount()
    return table.iloc[rank.argsort(kind="stable")].reset_index(drop=True)


def captions(mistakes: pd.DataFrame, photos: pd.Series, count: int) -> dict[int, str]:
    """Return row of the crop store -> caption of a mistake.

    Args:
        mistakes: see `mistakes`.
        photos: names of the photos in the crop store, in its order.
        count: number of mistakes, from the first.
    """
    row_of = dict(zip(photos, range(len(photos)), strict=True))
    return {
        row_of[m.photo]: f"{m.truth}\n-> {m.predicted}\n{m.probability:.2f}"
        for m in mistakes.head(count).itertuples()
    }
