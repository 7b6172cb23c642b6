"""The training loop: one model on one split with one seed, resumable after every epoch.

Random draws depend on (seed, epoch, sample) only, never on how many workers prepare the photos,
on timing, or on whether the run was interrupted.
"""

import copy
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import timm.optim
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from portrait18 import augment, backbones, checkpoints, inference, losses, metrics, mixing, sampling, targets
from portrait18.device import device, reproducible
from portrait18.errors import UserError
from portrait18.params import ModelParams
from portrait18.runs import Run


class _Epoch(Dataset):
    """The augmented crops of one epoch: (uint8 (size, size, 3), row of the labels)."""

    def __init__(self, crops: np.ndarray, rows: np.ndarray, params: ModelParams, seed: int, epoch: int):
        self.crops, self.rows, self.seed, self.epoch = crops, rows, seed, epoch
        self.transform = augment.make(params.augment, params.size)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int):
        # The position is part of the seed: a photo drawn twice in an epoch shall not look the same twice.
        seed = augment.sample_seed(self.seed, self.epoch, i)
        return augment.apply(self.transform, self.crops[self.rows[i]], seed), self.rows[i]


def _collate(samples: list) -> tuple[np.ndarray, np.ndarray]:
    photos, rows = zip(*samples, strict=True)
    return np.stack(photos), np.array(rows)


def learning_rate(step: int, steps_per_epoch: int, params: ModelParams) -> float:
    """Share of the peak rate at an optimiser step: linear warm-up, then cosine to zero, steps, or constant."""
    warmup = params.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if params.schedule == "step":
        return params.step_factor ** (step // (params.step_epochs * steps_per_epoch))
    if params.schedule == "constant":
        return 1.0
    total = params.epochs * steps_per_epoch
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, total - warmup)))


def _moving_average(
    decay: float, averaged: list[torch.Tensor], current: list[torch.Tensor], steps: torch.Tensor
) -> None:
    """Exponential moving average that forgets faster at first: else a short run keeps its random start."""
    decay = min(decay, (1 + int(steps)) / (10 + int(steps)))
    get_ema_multi_avg_fn(decay)(averaged, current, steps)


def _better(params: ModelParams, row: dict, best: dict | None) -> bool:
    if best is None:
        return True
    sign = -1 if params.best_by == "loss" else 1
    return sign * row[params.best_by] > sign * best[params.best_by]


def fit(
    crops: np.ndarray,
    labels: pd.DataFrame,
    fold_of: np.ndarray,
    params: ModelParams,
    run: Run,
    log: Callable[[dict], None] = lambda row: None,
) -> tuple[torch.nn.Module, list[dict]]:
    """Train one model.

    Args:
        crops: uint8 (N, S, S, 3), row for row with `labels`.
        labels: see `portrait18.labels`.
        fold_of: int (N,), the fold in which each photo is held out.
        run: its fold is held out: it picks the epoch to keep and is never trained on. After each epoch
            `run.checkpoint` is written, from which a killed run goes on.
        log: called with the row of each epoch, those before an interruption first.

    Returns:
        The network of the best epoch (averaged weights if `ema`), and the history: a row for each
        epoch with epoch, lr, train_loss, and loss, accuracy and macro_f1 on the held-out photos.
    """
    reproducible()
    fold, seed = run.fold, run.seed
    train = np.flatnonzero((fold_of != fold) & (labels.train.to_numpy() == 1))
    held_out = np.flatnonzero(fold_of == fold)
    if not len(train) or not len(held_out):
        raise UserError(
            f"fold {fold}: {len(train)} photos to train on, {len(held_out)} held out; both are needed, check split.folds and label.drop_ages"
        )
    to = device()
    target = targets.make(params)
    loss = losses.make(params, target.heads)
    told = target.told(labels).to(to)
    truth = targets.class_index(target.task, labels, trained=False).to_numpy()[held_out]
    balance = targets.class_index(target.task, labels, trained=True).to_numpy()[train]
    people = labels.person.to_numpy()[train]

    torch.manual_seed(seed)  # the head's first weights
    network = backbones.create(params, target.outputs).to(to, memory_format=torch.channels_last)
    try:
        optimizer = timm.optim.create_optimizer_v2(
            network.backbone,
            params.optimizer,
            lr=params.lr,
            weight_decay=params.weight_decay,
            layer_decay=params.layer_decay if params.layer_decay < 1 else None,
        )
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"params.yaml: optimizer = {params.optimizer!r}: {error}; see timm.optim.list_optimizers()"
        ) from None
    average = (
        AveragedModel(network, multi_avg_fn=partial(_moving_average, params.ema), use_buffers=True)
        if params.ema
        else None
    )
    judged = average.module if average else network
    autocast = torch.autocast(
        to.type, torch.bfloat16, enabled=params.amp == "bf16" or (params.amp == "auto" and to.type == "cuda")
    )

    fingerprint = checkpoints.fingerprint(crops, labels, fold_of, params.model_dump(), fold, seed)
    parts = {"network": network, "optimizer": optimizer, **({"average": average} if average else {})}
    history, best_state = checkpoints.resume(run.checkpoint, fingerprint, parts)
    for row in history:
        log(row)
    best = None
    for row in history:
        best = row if _better(params, row, best) else best
    if history:
        print(f"{run}: going on after epoch {len(history)} of {params.epochs}")

    for epoch in range(len(history), params.epochs):
        if params.patience and best and epoch - best["epoch"] > params.patience:
            print(f"{run}: no better for {params.patience} epochs, stopped")
            break
        started = time.monotonic()
        torch.manual_seed(augment.sample_seed(seed, epoch, 2**31))  # dropout: no state to carry over a crash
        order = train[sampling.epoch_order(people, balance, params.sampling, seed, epoch)]
        loader = DataLoader(
            _Epoch(crops, order, params, seed, epoch),
            params.batch_size,
            num_workers=params.workers,
            collate_fn=_collate,
            drop_last=len(order) > params.batch_size,
        )
        network.train()
        total, seen = torch.zeros((), device=to), 0
        with tqdm(
            loader, desc=f"{run} epoch {epoch + 1}/{params.epochs}", unit="batch", leave=False, disable=None
        ) as bar:
            for at, (photos, rows) in enumerate(bar):
                rate = params.lr * learning_rate(epoch * len(loader) + at, len(loader), params)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group.get("lr_scale", 1.0)
                step_seed = augment.sample_seed(seed, epoch, 2**32 + at)  # beyond any sample's own seed
                batch, wanted = mixing.mix(
                    inference.to_device(photos, to), told[torch.from_numpy(rows).to(to)], params.mix, step_seed
                )
                with autocast:
                    outputs = network(batch)
                value = loss(outputs, wanted, params).mean()
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                optimizer.step()
                if average:
                    average.update_parameters(network)
                total, seen = total + value.detach() * len(rows), seen + len(rows)
        if not torch.isfinite(total):
            raise UserError(f"{run}: the loss is no longer finite in epoch {epoch + 1}; lower lr ({params.lr})")
        probabilities, _ = inference.predict(judged, target, crops, held_out, params.size, 128, flip=False)
        row = {
            "epoch": epoch,
            "lr": rate,
            "train_loss": float(total) / seen,
            **metrics.scores(truth, probabilities.argmax(1), probabilities),
        }
        history.append(row)
        if _better(params, row, best):
            best, best_state = row, copy.deepcopy({k: v.cpu() for k, v in judged.state_dict().items()})
        checkpoints.save(run.checkpoint, fingerprint, parts, history, best_state)
        log(row)
        print(
            f"{run} epoch {epoch + 1}/{params.epochs}: train loss {row['train_loss']:.3f}, held out: loss {row['loss']:.3f} accuracy {row['accuracy']:.3f} macro-F1 {row['macro_f1']:.3f} ({time.monotonic() - started:.0f} s)",
            flush=True,
        )
    judged.load_state_dict(best_state)
    return judged, history
