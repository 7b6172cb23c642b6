"""Age models by gender: two models, each trained on the people of one gender, act as one.

P(age) = P(female) P(age | model of women) + P(male) P(age | model of men)
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from portrait18.dataset.classes import AGE, GENDER
from portrait18.evaluation import voting


def merge(models: Mapping[str, pd.DataFrame], people: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Replace each pair of age models for one gender by one table.

    The first model of women is paired with the first of men, and so on. P(gender) is the mean over
    all models that predict the gender. Expected years are weighted like the probabilities.

    Args:
        models: name -> table of predictions, all with the same photos in the same order.
        people: name -> `all`, `female` or `male`; a missing model was trained on all people.

    Returns:
        name -> table. A pair is named `FEMALE+MALE` and stands where its first model stood.
    """
    by_gender = {
        gender: [name for name in models if people.get(name) == gender] for gender in GENDER.classes
    }
    pairs = list(zip(by_gender["female"], by_gender["male"], strict=True))
    if not pairs:
        return dict(models)
    shares = _gender_probabilities(models)
    pair_of = {name: pair for pair in pairs for name in pair}
    merged: dict[str, pd.DataFrame] = {}
    for name, table in models.items():
        if name not in pair_of:
            merged[name] = table
            continue
        pair = pair_of[name]
        members = dict(zip(("female", "male"), (models[each] for each in pair), strict=True))
        merged.setdefault("+".join(pair), _weighted(members, shares))
    return merged


def _gender_probabilities(models: Mapping[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Return gender -> its mean probability over the models that predict it, float (N,)."""
    mean = voting.mean_probabilities(GENDER, models.values())
    return dict(zip(GENDER.classes, mean.T, strict=True))


def _weighted(
    members: Mapping[str, pd.DataFrame], shares: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return the mean of the tables of both genders, with weights (N,) for each photo."""
    columns = [c for c in (*AGE.columns, "years") if all(c in table for table in members.values())]
    return sum(
        (table[columns].mul(shares[gender], axis=0) for gender, table in members.items()),
        start=pd.DataFrame(0.0, index=members["female"].index, columns=columns),
    )
