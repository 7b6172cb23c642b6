"""Pseudo-labels (Lee 2013): what the first round is sure of on the photos to label, as labels for a second round."""

import numpy as np
import pandas as pd

from portrait18.core.model_params import ModelParams
from portrait18.dataset.classes import TASKS, age_group, encode
from portrait18.evaluation import voting


def first_answers(models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What the models of one fold answer to the photos to label, blended with equal weights.

    A fold's answers come from its own models alone: nothing of the people whom it holds out, not even a
    choice made on them, gets into what its second round is trained on.

    Args:
        models: name -> predictions of its members that hold out this fold, averaged: index photo (those to
            label), see `average`.

    Returns:
        photo; mask, gender and age_group, each with its probability in `*_confidence`; years where a
        model tells them.
    """
    photos = next(iter(models.values())).index
    table = pd.DataFrame({"photo": photos})
    for task in TASKS.values():
        told = [p for m in models.values() if (p := voting.task_probabilities(task, m)) is not None]
        mean = np.mean(told, axis=0)
        column = task.label_column
        table[column], table[f"{column}_confidence"] = mean.argmax(1), mean.max(1)
    if (years := voting.mean_years(models.values())) is not None:
        table["years"] = years
    return table


def labels(
    answers: pd.DataFrame, seen: pd.Series, params: ModelParams, confidence: float
) -> pd.DataFrame:
    """Labels, like `data/labels.csv`, for a model: a row for each photo to label, `train` where it is sure enough.

    Args:
        answers: of `first_answers`, from the fold that the model holds out.
        seen: index photo: whether it could be decoded; a grey crop teaches nothing, however sure the answer.
        params: of the model; its task decides which answers must be sure.
        confidence: the least probability of these.
    """
    tasks = TASKS.values() if params.task == "all" else [TASKS[params.task]]
    needed = [task.label_column for task in tasks]
    sure = (answers[[f"{c}_confidence" for c in needed]] >= confidence).all(axis=1)
    sure &= seen.loc[answers.photo].to_numpy()
    years = answers.years.round().astype(int) if "years" in answers else 0
    if params.target.predicts_years:
        # Years that contradict the group would teach the opposite of what was sure.
        sure &= age_group(years) == answers.age_group
    return pd.DataFrame(
        {
            **dict.fromkeys(("photo", "folder", "person"), answers.photo),
            "extra": 1,
            "mask": answers["mask"],
            "gender": answers.gender,
            "age": years,
            "age_group": answers.age_group,
            "class": encode(answers["mask"], answers.gender, answers.age_group),
            "age_target": answers.age_group,
            "train": sure.astype(int),
        }
    )
