"""Temperature scaling: probabilities that are as high as the share of correct predictions.

Guo et al. 2017, "On Calibration of Modern Neural Networks": all log probabilities of a model are
divided by one number, its temperature. A temperature above 1 makes a model less confident. One
below 1 makes it more confident, which models trained with label smoothing need. The most probable
class stays the same. The temperature is fitted on validation people, for single photos.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from portrait18.dataset.labels import class_index, select_people
from portrait18.evaluation import voting

#: Candidates, the closest to 1 first. The last digits of a solver would differ between machines.
TEMPERATURES = sorted(np.geomspace(0.125, 8, 121).round(3), key=lambda t: abs(np.log(t)))
FLOOR = 1e-7  # smaller probabilities count as this one, because a power of 0 stays 0


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities, float (N, C), of N photos at a temperature; 1 changes nothing."""
    if temperature == 1:
        return probabilities
    powers = probabilities.clip(FLOOR) ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)


def choose(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature with the lowest log loss, 1 without photos.

    The true class counts as slightly uncertain, because N photos without an error do not show that
    there is none (Platt 1999, "Probabilistic Outputs for Support Vector Machines").

    Args:
        probabilities: float (N, C).
        truth: class indices, int (N,).
    """
    photos, classes = probabilities.shape
    smoothing = 1 / (photos + classes)
    target = np.full(probabilities.shape, smoothing)
    target[np.arange(photos), truth] += 1 - classes * smoothing

    def loss(temperature: float) -> float:
        scaled = scale(probabilities, temperature).clip(FLOOR)
        return -float((target * np.log(scaled)).sum())

    return float(min(TEMPERATURES, key=loss))


def fit(
    models: Mapping[str, pd.DataFrame], labels: pd.DataFrame, people: Mapping[str, str]
) -> dict[str, float]:
    """Return the temperature of each model.

    Args:
        models: name -> out-of-fold predictions of validation photos, index photo.
        labels: data/labels.csv, index photo.
        people: name -> `all`, `female` or `male`, whom the model was trained on; only they count.
    """
    temperatures = {}
    for name, table in models.items():
        known = select_people(labels.loc[table.index], people[name])
        task = voting.own_task(table)
        truth = class_index(task, known, for_training=False).to_numpy()
        temperatures[name] = choose(table.loc[known.index, task.columns].to_numpy(), truth)
    return temperatures


def scale_models(
    models: Mapping[str, pd.DataFrame], temperatures: Mapping[str, float]
) -> dict[str, pd.DataFrame]:
    """Return the models' tables of predictions at their temperatures; without one, unchanged."""
    scaled = {}
    for name, table in models.items():
        columns = voting.own_task(table).columns
        values = scale(table[columns].to_numpy(), temperatures.get(name, 1.0))
        scaled[name] = table.assign(**dict(zip(columns, values.T, strict=True)))
    return scaled
