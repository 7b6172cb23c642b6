"""Predictions that a killed run need not make again: a journal keeps each batch's."""

import numpy as np

from portrait18.core import processes
from portrait18.core.journal import Journal
from portrait18.core.params import PredictParams
from portrait18.models import inference
from portrait18.models.inference import Model


def predict(
    journal: Journal | None,
    trained: Model,
    crops: np.ndarray,
    rows: np.ndarray,
    params: PredictParams,
    progress=iter,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """`inference.predict` by a trained model, as its params say.

    Args:
        journal: each batch is written to it; batches that it holds already are not computed again. The first
            process has it, the others None.
        crops, rows: as there; every process goes through its share of the batches.
        progress: wraps the iterator over those, e.g. tqdm.

    Returns:
        float32 (len(rows), classes), and the expected years float32 (len(rows),) or None; None to other processes
        than the first.
    """

    def probabilities_and_years(at: int) -> list[list | None]:
        batch, size = rows[at : at + params.batch_size], trained.params.image_size
        parts = inference.predict(
            trained.network,
            trained.target,
            crops,
            batch,
            size,
            params.batch_size,
            params.flip,
            params.tta_scales,
        )
        return [None if part is None else part.tolist() for part in parts]

    done = processes.broadcast(len(journal.pieces) if journal else 0)
    batches = range(0, len(rows), params.batch_size)[done:]
    for turn in processes.gather_in_order(
        map(probabilities_and_years, progress(processes.shard(batches))), len(batches)
    ):
        for batch in turn:
            journal.add(batch)
    if journal is None:
        return None
    probabilities, years = zip(*journal.pieces, strict=True)
    return (
        np.concatenate([np.array(part, np.float32) for part in probabilities]),
        np.concatenate([np.array(part, np.float32) for part in years])
        if trained.target.years
        else None,
    )
