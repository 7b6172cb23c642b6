"""The photos of one training, with labels and folds."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset.classes import GENDER
from portrait18.models.views import CropArray


@dataclass(frozen=True)
class TrainingData:
    """Crops, labels and folds, row for row.

    Attributes:
        crops: uint8 (N, S, S, 3), or features of frozen backbones, float16 (N, V, F).
        labels: N rows; see `portrait18.dataset.labels`.
        folds: int (N,), the fold in which each photo belongs to the validation set; -1: in none.
        margin: `crop.margin` of the crops; only backbones for faces need it.
    """

    crops: CropArray
    labels: pd.DataFrame
    folds: np.ndarray
    margin: float | None = None

    def restrict(self, people: str) -> "TrainingData":
        """Return the data with the people of one gender as training and validation set.

        Args:
            people: `female` or `male`; `all` changes nothing.
        """
        if people == "all":
            return self
        chosen = self.labels.gender.to_numpy() == GENDER.classes.index(people)
        labels = self.labels.assign(train=np.where(chosen, self.labels.train, 0))
        return replace(self, labels=labels, folds=np.where(chosen, self.folds, -1))

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the rows to train on: photos with `train` = 1 outside the fold, int64."""
        return np.flatnonzero((self.folds != fold) & (self.labels.train.to_numpy() == 1))

    def validation_rows(self, fold: int) -> np.ndarray:
        """Return the rows of the fold's validation set, int64."""
        return np.flatnonzero(self.folds == fold)


def require_photos(data: TrainingData, fold: int, people: str = "all") -> None:
    """Check that there are photos to train and to validate on.

    Args:
        data: photos.
        fold: fold of the validation people.
        people: whose photos they are; see `TrainingData.restrict`.

    Raises:
        UserError: there are none.
    """
    train, validation = len(data.train_rows(fold)), len(data.validation_rows(fold))
    if not train or not validation:
        whose = "" if people == "all" else f" of {people} people"
        raise UserError(
            f"fold {fold}: {train} training photos{whose}, {validation} validation photos{whose};"
            " both must be at least 1: check split.folds, label.drop_ages and people"
        )
