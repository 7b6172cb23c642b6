"""Pseudo-labels (Lee 2013): confident predictions of round 1 on the evaluation photos."""

import pandas as pd

from portrait18.core.model_params import ModelParams
from portrait18.dataset.classes import TASKS, age_group, encode
from portrait18.evaluation import voting


def predict(models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of one fold's models for the evaluation photos, with equal weights.

    A fold uses its own models only. So nothing about its validation people, not even a fitted
    weight, gets into the training data of its round 2.

    Args:
        models: name -> mean predictions of its members that were trained on this fold, index photo.

    Returns:
        photo; mask, gender and age_group (indices), each with its probability in `*_confidence`;
        years if a model predicts them.
    """
    table = pd.DataFrame({"photo": next(iter(models.values())).index})
    votes = voting.collect_votes(models, voting.models_by_task(models, TASKS.values()))
    for name, task in TASKS.items():
        mean = votes[name].mean(0)
        table[task.label_column] = mean.argmax(1)
        table[f"{task.label_column}_confidence"] = mean.max(1)
    if (years := voting.mean_years(models.values())) is not None:
        table["years"] = years
    return table


def labels(
    predictions: pd.DataFrame, decoded: pd.Series, params: ModelParams, confidence: float
) -> pd.DataFrame:
    """Return labels for one model's round 2, in the columns of `data/labels.csv`.

    Args:
        predictions: of `predict`, from the model's fold.
        decoded: index photo, whether the photo could be decoded. Otherwise its crop is plain gray,
            whatever the confidence.
        params: params of the model; its task decides which predictions must be confident.
        confidence: minimum probability of these predictions.

    Returns:
        One row per evaluation photo; `train` is 1 if the photo is used.
    """
    tasks = TASKS.values() if params.task == "all" else [TASKS[params.task]]
    needed = [f"{task.label_column}_confidence" for task in tasks]
    if params.people != "all":
        needed.append("gender_confidence")  # the model trains on photos of one gender
    used = (predictions[needed] >= confidence).all(axis=1)
    used &= decoded.loc[predictions.photo].to_numpy()
    years = predictions.years.round().astype(int) if "years" in predictions else 0
    if params.target.needs_years:
        # Years outside the predicted group would contradict the confident prediction.
        used &= age_group(years) == predictions.age_group
    return pd.DataFrame(
        {
            **dict.fromkeys(("photo", "folder", "person"), predictions.photo),
            "extra": 1,
            "mask": predictions["mask"],
            "gender": predictions.gender,
            "age": years,
            "age_group": predictions.age_group,
            "class": encode(predictions["mask"], predictions.gender, predictions.age_group),
            "age_target": predictions.age_group,
            "train": used.astype(int),
        }
    )
