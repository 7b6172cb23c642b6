"""The photos of one training, with labels and folds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from portrait18.core.errors import UserError
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

    def train_rows(self, fold: int) -> np.ndarray:
        """Return the rows to train on: photos with `train` = 1 outside the fold, int64."""
        return np.flatnonzero((self.folds != fold) & (self.labels.train.to_numpy() == 1))

    def validation_rows(self, fold: int) -> np.ndarray:
        """Return the rows of the fold's validation set, int64."""
        return np.flatnonzero(self.folds == fold)


def require_photos(data: TrainingData, fold: int) -> None:
    """Check that there are photos to train and to validate on.

    Raises:
        UserError: there are none.
    """
    train, validation = len(data.train_rows(fold)), len(data.validation_rows(fold))
    if not train or not validation:
        raise UserError(
            f"fold {fold}: {train} training photos, {validation} validation photos; both must be"
            " at least 1: check split.folds and label.drop_ages"
        )
