"""The training loop: one model on one split with one seed, resumable after every epoch.

Random draws depend on (seed, epoch, sample) only, never on how many num_workers prepare the photos,
on timing, or on whether the run was interrupted.
"""

import copy
import math
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from portrait18.core import processes
from portrait18.core.device import device, set_deterministic
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.dataset.labels import class_index
from portrait18.models import backbones, inference, losses, metrics, targets
from portrait18.training import (
    augmentation,
    checkpoints,
    distributed,
    mixing,
    optimization,
    sampling,
)


class _Epoch(Dataset):
    """The augmented crops of one epoch: (uint8 (size, size, 3), row of the labels)."""

    def __init__(
        self, crops: np.ndarray, rows: np.ndarray, params: ModelParams, seed: int, epoch: int
    ):
        self.crops, self.rows, self.seed, self.epoch = crops, rows, seed, epoch
        self.transform = augmentation.make(params.augment, params.image_size)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int):
        # The position is part of the seed: a photo drawn twice in an epoch shall not look the same twice.
        seed = augmentation.sample_seed(self.seed, self.epoch, i)
        return augmentation.apply(self.transform, self.crops[self.rows[i]], seed), self.rows[i]


def _collate(samples: list) -> tuple[np.ndarray, np.ndarray]:
    photos, rows = zip(*samples, strict=True)
    return np.stack(photos), np.array(rows)


def _better(params: ModelParams, row: dict, best: dict | None) -> bool:
    if best is None:
        return True
    sign = -1 if params.monitor == "loss" else 1
    return sign * row[params.monitor] > sign * best[params.monitor]


class Trainer:
    """The network with all that moves it: what an epoch needs, made once for a training."""

    def __init__(
        self,
        crops: np.ndarray,
        labels: pd.DataFrame,
        train: np.ndarray,
        params: ModelParams,
        run: Run,
    ):
        self.crops, self.train, self.params, self.run, self.device = (
            crops,
            train,
            params,
            run,
            device(),
        )
        self.target = targets.make(params)
        self.loss = losses.make(params, self.target)
        self.told = self.target.told(labels).to(self.device)
        self.counts = targets.class_counts(self.target, labels.iloc[train]).to(self.device)
        self.classes = class_index(self.target.task, labels, for_training=True).to_numpy()
        self.people = labels.person.to_numpy()
        torch.manual_seed(run.seed)  # the head's first weights
        network = backbones.create(params, self.target.widths).to(
            self.device, memory_format=torch.channels_last
        )
        self.network = distributed.with_common_statistics(network)
        self.optimizer = optimization.make(self.network, params)
        self.average = optimization.moving_average(self.network, params.ema) if params.ema else None
        on = params.amp == "bf16" or (params.amp == "auto" and self.device.type == "cuda")
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=on)

    @property
    def judged(self) -> torch.nn.Module:
        """The network that is scored and kept: the averaged one where there is one."""
        return self.average.module if self.average else self.network

    @property
    def parts(self) -> dict:
        """What a checkpoint holds."""
        parts = {"network": self.network, "optimizer": self.optimizer}
        return {**parts, "average": self.average} if self.average else parts

    def photos(self, epoch: int) -> tuple[DataLoader, int]:
        """The epoch's batches, and how many photos each has: augmented, uint8 (B, S, S, 3), and their rows of the labels.

        Of several processes each gets its share of every batch.
        """
        params, seed = self.params, self.run.seed
        order = self.train[
            sampling.epoch_order(
                self.people[self.train], self.classes[self.train], params.sampling, seed, epoch
            )
        ]
        size = min(params.batch_size, len(order))
        if size < processes.world_size():
            raise UserError(
                f"{self.run}: {processes.world_size()} processes (launch) for batches of {size} photos; at most one a photo: "
                f"fewer processes, or a larger batch_size ({params.batch_size}; {len(order)} photos to train on)"
            )
        starts = range(0, len(order) - size + 1, size)
        loader = DataLoader(
            _Epoch(self.crops, order, params, seed, epoch),
            batch_sampler=[range(start, start + size)[distributed.share(size)] for start in starts],
            num_workers=params.num_workers,
            collate_fn=_collate,
        )
        return loader, size

    def epoch(self, epoch: int) -> dict:
        """Train for one epoch; its mean loss, and the rate at its end."""
        params, seed = self.params, self.run.seed
        # Dropout: no state to carry over a crash, and not the same in each of several processes.
        torch.manual_seed(augmentation.sample_seed(seed, epoch, 2**31 + processes.rank()))
        loader, size = self.photos(epoch)
        context = losses.Context(self.counts, epoch / params.epochs)
        optimization.freeze(self.network, frozen=epoch < params.freeze_epochs)
        network = distributed.averaging_gradients(self.network)
        total, seen, rate = torch.zeros((), device=self.device), 0, 0.0
        title = f"{self.run} epoch {epoch + 1}/{params.epochs}"
        hidden = None if processes.is_main_process() else True
        for at, (photos, rows) in enumerate(
            tqdm(loader, desc=title, unit="batch", leave=False, disable=hidden)
        ):
            rate = params.lr * optimization.learning_rate(
                epoch * len(loader) + at, len(loader), params
            )
            optimization.set_rate(self.optimizer, rate)
            beyond = augmentation.sample_seed(seed, epoch, 2**32 + at)  # any sample's own seed
            batch, told = self._mixed(photos, rows, size, beyond)
            with self.autocast:
                outputs = network(batch)
            copies = len(outputs) // len(told)  # more than one with dropout_samples
            value = self.loss(outputs, told.repeat(copies, *[1] * (told.ndim - 1)), context).mean()
            self.optimizer.zero_grad(set_to_none=True)
            # Gradients are averaged over the processes, whose shares of the batch may differ by a photo.
            (value * (len(rows) * processes.world_size() / size)).backward()
            self.optimizer.step()
            if self.average:
                self.average.update_parameters(self.network)
            total, seen = total + value.detach() * len(rows), seen + len(rows)
        total, seen = distributed.sums(float(total), seen)
        if not math.isfinite(total):
            raise UserError(
                f"{self.run}: the loss is no longer finite in epoch {epoch + 1}; lower lr ({params.lr})"
            )
        return {"lr": rate, "train_loss": total / seen}

    def scores(self, held_out: np.ndarray, truth: np.ndarray) -> dict:
        """Figures of the judged network on held-out photos."""
        size = self.params.image_size
        how = {"batch_size": 128, "flip": False}
        probabilities, _ = inference.predict(
            self.judged, self.target, self.crops, held_out, size, **how
        )
        return metrics.scores(truth, probabilities.argmax(1), probabilities)

    def _mixed(
        self, photos: np.ndarray, rows: np.ndarray, size: int, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's part of a batch of `size`, mixed with photos of the whole batch, and what is told of it."""
        batch, rows = (
            inference.to_device(photos, self.device),
            torch.from_numpy(rows).to(self.device),
        )
        mine = slice(None)
        if processes.world_size() > 1 and self.params.mix.method != "none":
            lengths = distributed.lengths(size)
            batch = distributed.joined(batch.permute(0, 2, 3, 1), lengths).permute(
                0, 3, 1, 2
            )  # as it lies in memory
            rows = distributed.joined(rows, lengths)
            mine = distributed.share(size)
        batch, told = mixing.mix(
            batch, self.told[rows], self.classes[rows.cpu().numpy()], self.params.mix, seed
        )
        return batch[mine], told[mine]


def validate_models(models: dict[str, ModelParams]) -> None:
    """One `UserError` for all models whose loss, backbone, weights or optimizer won't do: before hours of training."""
    problems = []
    for name, params in models.items():
        for build in (
            lambda p: losses.make(p, targets.make(p)),
            distributed.require,
            backbones.require,
            optimization.require,
        ):
            try:
                build(params)
            except UserError as error:
                problems += [f"train.{name}: {line}" for line in error.problems]
    if problems:
        raise UserError(problems)


def fit(
    crops: np.ndarray,
    labels: pd.DataFrame,
    fold_of: np.ndarray,
    params: ModelParams,
    run: Run,
    log: Callable[[dict], None] = lambda row: None,
    code: str = "",
) -> tuple[torch.nn.Module, list[dict]]:
    """Train one model.

    Args:
        crops: uint8 (N, S, S, 3), row for row with `labels`.
        labels: see `portrait18.dataset.labels`.
        fold_of: int (N,), the fold in which each photo is held out.
        run: its fold is held out: it picks the epoch to keep and is never trained on. After each epoch
            `run.checkpoint` is written, from which a killed run goes on.
        log: called with the row of each epoch, those before an interruption first.

    Returns:
        The network of the best epoch (averaged weights if `ema`), and the history: a row for each
        epoch with epoch, lr, train_loss, and loss, accuracy and macro_f1 on the held-out photos.
    """
    set_deterministic()
    train = np.flatnonzero((fold_of != run.fold) & (labels.train.to_numpy() == 1))
    held_out = np.flatnonzero(fold_of == run.fold)
    if not len(train) or not len(held_out):
        raise UserError(
            f"fold {run.fold}: {len(train)} photos to train on, {len(held_out)} held out; both are needed, check split.folds and label.drop_ages"
        )
    learner = Trainer(crops, labels, train, params, run)
    truth = class_index(learner.target.task, labels, for_training=False).to_numpy()[held_out]

    settings = params.model_dump(
        exclude={"num_workers"}
    )  # as many as there are: they change nothing
    by = [processes.world_size(), device().type]
    fingerprint = checkpoints.fingerprint(
        crops, labels, fold_of, settings, run.fold, run.seed, by, code
    )
    history, best_state = checkpoints.resume(
        run.checkpoint, fingerprint, learner.parts, learner.judged
    )
    if len(set(processes.gather(len(history)))) > 1:
        raise UserError(
            f"{run}: not every process can read {run.checkpoint}; share the folder, or remove that file"
        )
    best = None
    for row in history:
        log(row)
        best = row if _better(params, row, best) else best
    if history:
        processes.print_once(f"{run}: going on after epoch {len(history)} of {params.epochs}")

    for epoch in range(len(history), params.epochs):
        if params.patience and best and epoch - best["epoch"] > params.patience:
            processes.print_once(f"{run}: no better for {params.patience} epochs, stopped")
            break
        started = time.monotonic()
        trained = learner.epoch(epoch)
        # Judged by one for all: on CPUs batch norm differs, and all have to stop at the same epoch.
        scores = processes.broadcast(
            learner.scores(held_out, truth) if processes.is_main_process() else None
        )
        row = {"epoch": epoch, **trained, **scores}
        history.append(row)
        if _better(params, row, best):
            best, best_state = (
                row,
                copy.deepcopy({k: v.cpu() for k, v in learner.judged.state_dict().items()}),
            )
        if processes.is_main_process():
            checkpoints.save(run.checkpoint, fingerprint, learner.parts, history, best_state)
        log(row)
        processes.print_once(
            f"{run} epoch {epoch + 1}/{params.epochs}: train loss {row['train_loss']:.3f}, held out: loss {row['loss']:.3f} accuracy {row['accuracy']:.3f} macro-F1 {row['macro_f1']:.3f} ({time.monotonic() - started:.0f} s)"
        )
    learner.judged.load_state_dict(best_state)
    return learner.judged, history
