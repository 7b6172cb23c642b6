"""Predictions that resume after an interruption, from a journal of finished batches."""

from collections.abc import Callable

import numpy as np

from portrait18.core import processes
from portrait18.core.journal import Journal

#: Rows, int (B,) -> class probabilities (B, classes), and ages (B,) or None; as `Model.predict`.
PredictRows = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def predict(
    predict_rows: PredictRows,
    rows: np.ndarray,
    batch_size: int,
    journal: Journal | None,
    progress: Callable = iter,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Predict batches that the journal does not contain yet, and return all predictions.

    Batches are distributed over the processes.

    Args:
        predict_rows: predicts one batch.
        rows: int (N,), rows to predict, in order.
        batch_size: rows per batch.
        journal: of the main process; None in other processes.
        progress: wraps the iterator over this process's batches, e.g. tqdm.

    Returns:
        Probabilities, float32 (N, classes), and ages in years, float32 (N,), or None if the model
        has no ages. In processes other than the main one, None.
    """

    def predict_batch(start: int) -> list[list | None]:
        parts = predict_rows(rows[start : start + batch_size])
        return [None if part is None else part.tolist() for part in parts]

    done = processes.broadcast(len(journal.pieces) if journal else 0)
    starts = range(0, len(rows), batch_size)[done:]
    results = map(predict_batch, progress(processes.shard(starts)))
    for finished in processes.gather_in_order(results, len(starts)):
        if journal is not None:
            for batch in finished:
                journal.add(batch)
    if journal is None:
        return None
    probabilities, years = zip(*journal.pieces, strict=True)
    return _concatenate(probabilities), None if years[0] is None else _concatenate(years)


def _concatenate(parts: tuple[list, ...]) -> np.ndarray:
    return np.concatenate([np.array(part, np.float32) for part in parts])
