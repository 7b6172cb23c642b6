"""The photos of one training, with labels and folds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from portrait18.models.inference import CropArray


@dataclass(frozen=True)
class TrainingData:
    """Crops, labels and folds, row for row.

    Attributes:
        crops: uint8 (N, S, S, 3).
        labels: N rows; see `portrait18.dataset.labels`.
        folds: int (N,), the fold in which each photo belongs to the validation set; -1: in none.
    """

    crops: CropArray
    labels: pd.DataFrame
    folds: np.ndarray

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the rows to train on: photos with `train` = 1 outside the fold, int64."""
        return np.flatnonzero((self.folds != fold) & (self.labels.train.to_numpy() == 1))

    def validation_rows(self, fold: int) -> np.ndarray:
        """Return the rows of the fold's validation set, int64."""
        return np.flatnonzero(self.folds == fold)
