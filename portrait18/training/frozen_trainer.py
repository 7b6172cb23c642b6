"""Train the heads of frozen models in batches of features, by the loop that trains networks."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.models.frozen import HeadNetwork, StandardizedHead
from portrait18.models.views import CropArray
from portrait18.training import frozen_fitting, loop
from portrait18.training.data import TrainingData
from portrait18.training.trainer import Trainer

#: Separates the draws of views from those of `sampling.epoch_order`.
_VIEW_STREAM = 0x56


class EpochFeatures:
    """The batches of one epoch: features float32 (B, F) of a random view, and rows int64 (B,).

    Args:
        features: float16 (N, V, F).
        rows: rows of the photos in the epoch's order.
        size: photos per batch; a last smaller batch is left out.
        seed: seed of the run.
        epoch: number of the epoch. Views depend on (seed, epoch) alone.
    """

    def __init__(self, features: CropArray, rows: np.ndarray, size: int, seed: int, epoch: int):
        rng = np.random.default_rng([seed, epoch, _VIEW_STREAM])
        self.features, self.rows, self.size = features, rows, size
        self.views = rng.integers(0, features.shape[1], len(rows))

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(self) * self.size, self.size):
            rows = self.rows[start : start + self.size]
            batch = self.features[rows, self.views[start : start + self.size]]
            yield batch.astype(np.float32), rows


class FrozenTrainer(Trainer):
    """A head with its loss, optimizer, moving average and features.

    Args:
        data: features in place of crops.
        params: of the model.
        run: names the validation fold and the seed of all random draws.
        test_views: views that the validation scores average.
    """

    show_progress = False

    def __init__(self, data: TrainingData, params: ModelParams, run: Run, test_views: int):
        self.test_views = test_views
        super().__init__(data, params, run, torch.device("cpu"))

    def create_network(self) -> torch.nn.Module:
        """Return an untrained head that standardizes its features."""
        features = self.data.crops[self.train_rows]
        head = StandardizedHead(features.shape[2], self.target.widths, self.params)
        head.fit(features.reshape(-1, features.shape[2]))
        return HeadNetwork(head)

    def loader(self, epoch: int):
        """Return the epoch's batches and their size."""
        rows = self.epoch_rows(epoch)
        size = min(self.params.batch_size, len(rows))
        return EpochFeatures(self.data.crops, rows, size, self.run.seed, epoch), size

    def to_device(self, batch: np.ndarray) -> torch.Tensor:
        """Return features (B, F) as a tensor."""
        return torch.from_numpy(batch)

    def evaluate(self) -> dict[str, float]:
        """Return the scores of `eval_model` on the validation set; see `metrics.scores`."""
        return frozen_fitting.evaluate(
            self.eval_model, self.data, self.params, self.run, self.test_views
        )


def fit(
    data: TrainingData,
    params: ModelParams,
    run: Run,
    test_views: int,
    log: Callable[[dict], None],
) -> StandardizedHead:
    """Train one head; see `frozen_fitting.fit`."""
    network, _ = loop.run_epochs(FrozenTrainer(data, params, run, test_views), log)
    assert isinstance(network.head, StandardizedHead)
    return network.head.eval()
