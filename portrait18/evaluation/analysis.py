"""What a report says beside the scores: baseline, calibration, recall, confusion, per group and decade, the mistakes."""

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report, confusion_matrix, recall_score

from portrait18.dataset.classes import ALL, CLASS_NAMES, NUM_CLASSES, TASKS, decode
from portrait18.models.metrics import macro_f1


def baseline(truth: np.ndarray, count: int) -> dict[str, float]:
    """Macro-F1 and accuracy of always answering the most frequent class."""
    most = np.full_like(truth, np.bincount(truth, minlength=count).argmax())
    return {"macro_f1": macro_f1(truth, most, count), "accuracy": float(np.mean(truth == most))}


def expected_calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, Guo et al. 2017; 0 is perfect."""
    table = calibration(truth, probabilities, bins)
    return float(
        (table.photos * (table.confidence - table.accuracy).abs()).sum() / table.photos.sum()
    )


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
        classes,
        predicted,
        labels=range(NUM_CLASSES),
        target_names=CLASS_NAMES,
        output_dict=True,
        zero_division=0,
    )
    rows = {name: result[name] for name in [*CLASS_NAMES, "macro avg"]}
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


def age_by_decade(
    age: np.ndarray, group: np.ndarray, answered: np.ndarray, years: np.ndarray | None = None
) -> pd.DataFrame:
    """How far off age is in each decade of recorded age.

    Args:
        age: recorded, years (N,).
        group, answered: index of the true age group and of the one answered (N,).
        years: the age told (N,), where a model tells years.

    Returns:
        decade (`20s`), photos, wrong_group (share of photos, 0..1), mean_absolute_error_years and
        mean_error_years (told minus recorded; over 0: taken for older); no number where no model tells years.
    """
    error = np.full(len(age), np.nan) if years is None else years - age
    table = pd.DataFrame(
        {
            "decade": age // 10 * 10,
            "photos": 1,
            "wrong_group": group != answered,
            "mean_absolute_error_years": np.abs(error),
            "mean_error_years": error,
        }
    )
    how = {"photos": "sum", **dict.fromkeys(table.columns[2:], "mean")}
    by_decade = table.groupby("decade", as_index=False).agg(how)
    return by_decade.assign(decade=by_decade.decade.astype(str) + "s")


def mistakes(truth: pd.DataFrame, answered: np.ndarray, joint: np.ndarray) -> pd.DataFrame:
    """The wrong answers, those furthest from the truth first, but each person once before anybody twice.

    Args:
        truth: photo, person, age, class of each photo, N rows.
        answered: class numbers (N,).
        joint: probabilities of the 18 classes (N, 18).

    Returns:
        photo, person, age, truth and answer (names of classes), probability (of the answer), probability_of_truth,
        wrong (the tasks answered wrongly, `gender+age`).
    """
    classes, rows = truth["class"].to_numpy(), np.arange(len(truth))
    true_parts, parts = decode(classes), decode(answered)
    table = truth[["photo", "person", "age"]].assign(
        truth=np.take(CLASS_NAMES, classes),
        answer=np.take(CLASS_NAMES, answered),
        probability=joint[rows, answered],
        probability_of_truth=joint[rows, classes],
        wrong=["+".join(t for t in TASKS if true_parts[t][i] != parts[t][i]) for i in rows],
    )
    table = table[classes != answered].sort_values(["probability_of_truth", "photo"])
    turn = table.groupby(
        "person"
    ).cumcount()  # else one hard face fills the sheet with its seven photos
    return table.iloc[turn.argsort(kind="stable")].reset_index(drop=True)


def captions(mistakes: pd.DataFrame, photos: pd.Series, count: int) -> dict[int, str]:
    """Row of the crop store -> truth, answer and probability of the answer, for the first `count` mistakes.

    Args:
        mistakes: as from `mistakes`.
        photos: photo names of the crop store, in its order.
    """
    row_of = dict(zip(photos, range(len(photos)), strict=True))
    return {
        row_of[m.photo]: f"{m.truth}\n-> {m.answer}\n{m.probability:.2f}"
        for m in mistakes.head(count).itertuples()
    }
