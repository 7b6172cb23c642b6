"""The training loop: one model on one split with one seed, resumable after every epoch.

Random draws depend on (seed, epoch, sample) only, not on the number of workers, on timing, or on
whether the run was interrupted.
"""

import copy
import time
from collections.abc import Callable, Sequence

import torch

from portrait18.core import arithmetic, processes
from portrait18.core.device import device, set_deterministic
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.runs import Run
from portrait18.models import backbones
from portrait18.training import checkpoints, distributed, optimization
from portrait18.training.data import TrainingData, require_photos
from portrait18.training.trainer import Trainer


def validate_models(models: dict[str, ModelParams]) -> None:
    """Check the backbone, weights and optimizer of all models before any training starts.

    Raises:
        UserError: lists the problems of all models.
    """
    problems = []
    for name, params in models.items():
        for check in (
            distributed.validate,
            backbones.validate,
            optimization.validate,
        ):
            try:
                check(params)
            except UserError as error:
                problems += [f"train.{name}: {line}" for line in error.problems]
    if problems:
        raise UserError(problems)


def fit(
    data: TrainingData,
    params: ModelParams,
    run: Run,
    log: Callable[[dict], None] = lambda row: None,
    code: str = "",
) -> tuple[torch.nn.Module, list[dict]]:
    """Train one model.

    After each epoch `run.checkpoint` is written, from which an interrupted run resumes.

    Args:
        data: photos; those of `run.fold` are the validation set, which selects the epoch to keep.
            Only `params.people` count in both.
        params: of the model.
        run: names the validation fold, the seed and the checkpoint.
        log: called with the history row of each epoch, those before an interruption first.
        code: fingerprint of the source code; a checkpoint of other code is not resumed.

    Returns:
        The network of the best epoch (its moving average if there is one), and the history: a row
        per epoch with epoch, lr, train_loss, and loss, accuracy and macro_f1 of the validation set.

    Raises:
        UserError: no photos to train or validate on, or a loss that is not finite.
    """
    set_deterministic()
    data = data.restrict(params.people)
    require_photos(data, run.fold, params.people)
    trainer = Trainer(data, params, run)
    settings = params.model_dump(exclude={"num_workers"})  # does not affect the result
    platform = [processes.world_size(), device().type, *arithmetic.description()]
    fingerprint = checkpoints.fingerprint(data, settings, run.fold, run.seed, platform, code)
    history, best_state = checkpoints.resume(
        run.checkpoint, fingerprint, trainer.parts, trainer.eval_model
    )
    _require_shared_history(history, run)
    for row in history:
        log(row)
    if history:
        processes.print_once(f"{run}: resuming after epoch {len(history)} of {params.epochs}")

    def save(history: list[dict], best_state: dict) -> None:
        if processes.is_main_process():
            checkpoints.save(run.checkpoint, fingerprint, trainer.parts, history, best_state)

    return run_epochs(trainer, log, history, best_state, save)


def run_epochs(
    trainer: Trainer,
    log: Callable[[dict], None],
    history: Sequence[dict] = (),
    best_state: dict | None = None,
    save: Callable[[list[dict], dict], None] = lambda history, best_state: None,
) -> tuple[torch.nn.Module, list[dict]]:
    """Train the epochs that are left.

    Args:
        trainer: after the epochs of `history`.
        log: called with the history row of each new epoch.
        history: rows of the finished epochs.
        best_state: state dict of the best of them.
        save: called with all rows and the best state after each epoch.

    Returns:
        As `fit`.
    """
    run, params, history, best_state = trainer.run, trainer.params, [*history], best_state or {}
    for epoch in range(len(history), params.epochs):
        best = _best(history, params.monitor)
        if params.patience and best and epoch - best["epoch"] > params.patience:
            if trainer.show_progress:
                processes.print_once(
                    f"{run}: stopping, {params.monitor} did not improve for {params.patience}"
                    " epochs"
                )
            break
        started = time.monotonic()
        row = _run_epoch(trainer, epoch)
        history.append(row)
        if _best(history, params.monitor) is row:
            state = trainer.eval_model.state_dict()
            best_state = copy.deepcopy({k: v.cpu() for k, v in state.items()})
        save(history, best_state)
        log(row)
        if trainer.show_progress:
            _print_progress(run, row, params.epochs, time.monotonic() - started)
    trainer.eval_model.load_state_dict(best_state)
    return trainer.eval_model, history


def _best(history: list[dict], monitor: str) -> dict | None:
    """Return the row with the best monitored score, the first of equals; None without rows."""
    sign = -1 if monitor == "loss" else 1
    return max(history, key=lambda row: sign * row[monitor], default=None)


def _run_epoch(trainer: Trainer, epoch: int) -> dict:
    """Train and evaluate one epoch; return its history row."""
    trained = trainer.train_epoch(epoch)
    # Evaluated by one process for all: on CPUs their batch norm statistics differ, but all of
    # them must stop after the same epoch.
    scores = processes.broadcast(trainer.evaluate() if processes.is_main_process() else None)
    return {"epoch": epoch, **trained, **scores}


def _print_progress(run: Run, row: dict, epochs: int, seconds: float) -> None:
    processes.print_once(
        f"{run} epoch {row['epoch'] + 1}/{epochs}: train loss {row['train_loss']:.3f},"
        f" validation: loss {row['loss']:.3f} accuracy {row['accuracy']:.3f}"
        f" macro-F1 {row['macro_f1']:.3f} ({seconds:.0f} s)"
    )


def _require_shared_history(history: list[dict], run: Run) -> None:
    if len(set(processes.gather(len(history)))) > 1:
        raise UserError(
            f"{run}: not every process can read {run.checkpoint};"
            " share the folder between machines, or delete that file"
        )
