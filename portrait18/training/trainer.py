"""The trainer: a network with its loss, optimizer and data, trained epoch by epoch."""

import math
from typing import cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from portrait18.core import processes
from portrait18.core.device import device
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.dataset.labels import class_index
from portrait18.models import backbones, contrast, inference, metrics, views
from portrait18.models.inference import PredictOptions
from portrait18.models.losses import LossContext, make_loss
from portrait18.models.targets import class_counts, make_target
from portrait18.models.views import CropArray
from portrait18.training import augmentation, distributed, mixing, optimization, sampling
from portrait18.training.data import TrainingData

VALIDATION_BATCH_SIZE = 128
#: Sample numbers for the seeds of an epoch's dropout and of its batches' mixing: above those of
#: all photos, so that no two draws share a seed.
_DROPOUT_SAMPLE, _MIX_SAMPLE = 2**31, 2**32


class EpochDataset(Dataset):
    """The augmented crops of one epoch: (uint8 (size, size, 3), row in the labels)."""

    def __init__(
        self, crops: CropArray, rows: np.ndarray, params: ModelParams, seed: int, epoch: int
    ):
        self.crops, self.rows, self.seed, self.epoch = crops, rows, seed, epoch
        self.clahe = params.clahe
        self.transform = augmentation.make(params.augment, params.image_size)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int):
        # Seeded by position: a photo that is drawn twice in an epoch must differ the second time.
        seed = augmentation.sample_seed(self.seed, self.epoch, i)
        (crop,) = contrast.equalize(self.crops[self.rows[i]][None], self.clahe)
        return augmentation.apply(self.transform, crop, seed), self.rows[i]


def _collate(samples: list) -> tuple[np.ndarray, np.ndarray]:
    photos, rows = zip(*samples, strict=True)
    return np.stack(photos), np.array(rows)


class Trainer:
    """A network with its loss, optimizer, moving average and data.

    Args:
        data: photos to train and validate on.
        params: of the model.
        run: names the validation fold and the seed of all random draws.
        on: where the network is trained; by default the GPU of this process, or the CPU.

    Attributes:
        show_progress: whether to print a line for each epoch.
    """

    show_progress = True

    def __init__(
        self, data: TrainingData, params: ModelParams, run: Run, on: torch.device | None = None
    ):
        self.data, self.params, self.run, self.device = data, params, run, on or device()
        self.train_rows = data.train_rows(run.fold)
        self.validation_rows = data.validation_rows(run.fold)
        self.target = make_target(params)
        self.loss = make_loss(params, self.target)
        self.targets = self.target.encode(data.labels).to(self.device)
        train_labels = data.labels.iloc[self.train_rows]
        self.counts = class_counts(self.target, train_labels).to(self.device)
        self.classes = class_index(self.target.task, data.labels, for_training=True).to_numpy()
        torch.manual_seed(run.seed)  # for the head's initial weights
        network = self.create_network().to(self.device).to(memory_format=torch.channels_last)
        self.network = cast(backbones.Network, distributed.sync_batchnorm(network))
        self.optimizer = optimization.create_optimizer(self.network, params)
        self.ema = (
            optimization.create_ema(self.network, params.ema_decay) if params.ema_decay else None
        )
        bf16 = params.amp == "bf16" or (params.amp == "auto" and self.device.type == "cuda")
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def create_network(self) -> torch.nn.Module:
        """Return the network with its initial weights."""
        return backbones.create(self.params, self.target.widths, self.data.margin)

    @property
    def eval_model(self) -> torch.nn.Module:
        """The network to evaluate and save: the moving average if there is one."""
        return self.ema.module if self.ema else self.network

    @property
    def parts(self) -> dict:
        """Everything whose state a checkpoint contains."""
        parts: dict = {"network": self.network, "optimizer": self.optimizer}
        return {**parts, "ema": self.ema} if self.ema else parts

    def epoch_rows(self, epoch: int) -> np.ndarray:
        """Return the rows of the epoch's photos in their order, int64."""
        labels, classes = self.data.labels.iloc[self.train_rows], self.classes[self.train_rows]
        order = sampling.epoch_order(labels, classes, self.params.sampling, self.run.seed, epoch)
        return self.train_rows[order]

    def loader(self, epoch: int):
        """Return the epoch's loader and its batch size over all processes.

        Batches are augmented photos, uint8 (B, S, S, 3), and their rows in the labels, int64 (B,).
        Each process gets its slice of every batch.

        Raises:
            UserError: fewer photos per batch than processes.
        """
        params, seed = self.params, self.run.seed
        rows = self.epoch_rows(epoch)
        size = min(params.batch_size, len(rows))
        if size < processes.world_size():
            raise UserError(
                f"{self.run}: {processes.world_size()} processes (launch) for batches of {size}"
                " photos; each process needs at least one: start fewer processes, or increase"
                f" batch_size ({params.batch_size}; {len(rows)} photos to train on)"
            )
        starts = range(0, len(rows) - size + 1, size)
        own = distributed.shard_slice(size)
        loader: DataLoader = DataLoader(
            EpochDataset(self.data.crops, rows, params, seed, epoch),
            batch_sampler=[list(range(start, start + size)[own]) for start in starts],
            num_workers=params.num_workers,
            collate_fn=_collate,
        )
        return loader, size

    def train_epoch(self, epoch: int) -> dict:
        """Train for one epoch; return `lr` at its end and the mean `train_loss`.

        Raises:
            UserError: the loss is not finite.
        """
        params, seed = self.params, self.run.seed
        # Seeds dropout: nothing to restore after a crash, and each process drops other features.
        torch.manual_seed(augmentation.sample_seed(seed, epoch, _DROPOUT_SAMPLE + processes.rank()))
        loader, size = self.loader(epoch)
        context = LossContext(self.counts, epoch / params.epochs)
        optimization.freeze_backbones(self.network, frozen=epoch < params.freeze_epochs)
        network = distributed.data_parallel(self.network)
        total, seen, lr = torch.zeros((), device=self.device), 0, 0.0
        title = f"{self.run} epoch {epoch + 1}/{params.epochs}"
        disable = None if self.show_progress and processes.is_main_process() else True
        batches = tqdm(loader, desc=title, unit="batch", leave=False, disable=disable)
        for step, (photos, rows) in enumerate(batches):
            factor = optimization.lr_factor(epoch * len(loader) + step, len(loader), params)
            lr = params.lr * factor
            optimization.set_lr(self.optimizer, lr)
            mix_seed = augmentation.sample_seed(seed, epoch, _MIX_SAMPLE + step)
            batch, batch_targets = self._mix(photos, rows, size, mix_seed)
            with self.autocast:
                outputs = network(batch)
            copies = len(outputs) // len(batch_targets)  # more than one with dropout_samples
            repeated = batch_targets.repeat(copies, *[1] * (batch_targets.ndim - 1))
            loss = self.loss(outputs, repeated, context).mean()
            # DDP averages gradients over processes, whose slices may differ in size by a photo.
            self._update(loss * (len(rows) * processes.world_size() / size))
            total, seen = total + loss.detach() * len(rows), seen + len(rows)
        loss_sum, count = distributed.sum_over_processes(float(total), seen)
        if not math.isfinite(loss_sum):
            raise UserError(
                f"{self.run}: the loss is not finite in epoch {epoch + 1}; lower lr ({params.lr})"
            )
        return {"lr": lr, "train_loss": loss_sum / count}

    def evaluate(self) -> dict[str, float]:
        """Return the scores of `eval_model` on the validation set; see `metrics.scores`."""
        options = PredictOptions(
            self.params.image_size, VALIDATION_BATCH_SIZE, clahe=self.params.clahe
        )
        probabilities, _ = inference.predict(
            self.eval_model, self.target, self.data.crops, self.validation_rows, options
        )
        truth = class_index(self.target.task, self.data.labels, for_training=False).to_numpy()
        return metrics.scores(truth[self.validation_rows], probabilities.argmax(1), probabilities)

    def to_device(self, batch: np.ndarray) -> torch.Tensor:
        """Return photos, uint8 (B, S, S, 3), as a tensor (B, 3, S, S) on the device."""
        return views.to_device(batch, self.device)

    def _update(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.ema:
            self.ema.update_parameters(self.network)

    def _mix(
        self, photos: np.ndarray, rows: np.ndarray, size: int, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this process's slice of a batch, mixed with photos of all slices.

        Args:
            photos: uint8 (B, S, S, 3), this process's slice.
            rows: int64 (B,), their rows in the labels.
            size: photos of all slices.
            seed: of the draws.

        Returns:
            Photos (B, 3, S, S) on the device, and their targets (B, ...).
        """
        batch = self.to_device(photos)
        batch_rows = torch.from_numpy(rows).to(self.device)
        own = slice(None)
        if processes.world_size() > 1 and self.params.mix.name != "none":
            lengths = distributed.shard_lengths(size)
            # Channels last, as the batch lies in memory.
            batch = distributed.all_gather_rows(batch.permute(0, 2, 3, 1), lengths)
            batch = batch.permute(0, 3, 1, 2)
            batch_rows = distributed.all_gather_rows(batch_rows, lengths)
            own = distributed.shard_slice(size)
        classes = self.classes[batch_rows.cpu().numpy()]
        mixed, mixed_targets = mixing.mix(
            batch, self.targets[batch_rows], classes, self.params.mix, seed
        )
        return mixed[own], mixed_targets[own]
