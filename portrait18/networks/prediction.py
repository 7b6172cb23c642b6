"""Predictions that a killed run need not make again: a journal keeps each batch's."""

import numpy as np

from portrait18.journal import Journal
from portrait18.networks import inference
from portrait18.networks.inference import Model
from portrait18.params import PredictParams


def predict(
    journal: Journal, trained: Model, crops: np.ndarray, rows: np.ndarray, params: PredictParams, progress=iter
) -> tuple[np.ndarray, np.ndarray | None]:
    """`inference.predict` by a trained model, as its params say.

    Args:
        journal: each batch is written to it; batches that it holds already are not computed again.
        crops, rows, progress: as there.

    Returns:
        float32 (len(rows), classes), and the expected years float32 (len(rows),) or None.
    """
    size = trained.params.size
    for n, at in enumerate(progress(range(0, len(rows), params.batch_size))):
        if n == len(journal.pieces):
            batch = rows[at : at + params.batch_size]
            parts = inference.predict(
                trained.network, trained.target, crops, batch, size, params.batch_size, params.flip, params.zooms
            )
            journal.add([None if part is None else part.tolist() for part in parts])
    probabilities, years = zip(*journal.pieces, strict=True)
    return (
        np.concatenate([np.array(part, np.float32) for part in probabilities]),
        np.concatenate([np.array(part, np.float32) for part in years]) if trained.target.years else None,
    )
