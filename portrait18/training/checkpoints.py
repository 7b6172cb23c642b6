"""Checkpoints: the state of a training after its last complete epoch."""

import copy
import hashlib
import io
import json
import zipfile
from pathlib import Path

import albumentations
import numpy as np
import timm
import torch

from portrait18.core import processes
from portrait18.core.errors import is_out_of_memory
from portrait18.core.files import write_bytes
from portrait18.training.data import TrainingData


def fingerprint(data: TrainingData, *settings) -> str:
    """Return a hash of everything that a training depends on, including its code.

    A checkpoint with another fingerprint is ignored.

    Args:
        data: photos, labels and folds.
        settings: params, seed, code fingerprint and so on; any JSON values.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(data.labels.to_csv(index=False).encode())
    digest.update(np.ascontiguousarray(data.folds).data)
    versions = [torch.__version__, timm.__version__, albumentations.__version__]
    digest.update(json.dumps([data.crops.shape, versions, *settings], sort_keys=True).encode())
    for start in range(0, len(data.crops), 1024):
        digest.update(np.ascontiguousarray(data.crops[start : start + 1024]).data)
    return digest.hexdigest()


def save(path: Path, fingerprint: str, parts: dict, history: list[dict], best: dict) -> None:
    """Write a checkpoint; it replaces an earlier one only when it is complete.

    Args:
        path: file to write.
        fingerprint: of the training's inputs.
        parts: objects with a `state_dict`, by name.
        history: rows of the finished epochs.
        best: state dict of the best epoch's network.
    """
    state = {name: part.state_dict() for name, part in parts.items()}
    buffer = io.BytesIO()
    torch.save(
        {"fingerprint": fingerprint, "state": state, "history": history, "best": best}, buffer
    )
    write_bytes(buffer.getbuffer(), path)


def resume(
    path: Path, fingerprint: str, parts: dict, eval_model: torch.nn.Module
) -> tuple[list[dict], dict]:
    """Load a checkpoint into `parts`, if it was written with the same fingerprint.

    A damaged checkpoint is ignored, and `parts` keep their state: it costs the epochs it held, but
    must not stop the run.

    Args:
        path: as given to `save`.
        fingerprint: as given to `save`.
        parts: objects with `load_state_dict`, by name.
        eval_model: a network with the shapes of the best epoch's weights.

    Returns:
        The history and the best epoch's state dict, or ([], {}) if there is nothing to resume.
    """
    if not path.exists():
        return [], {}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        stored = _read(path)
        if stored["fingerprint"] != fingerprint:
            return [], {}
        history, best = stored["history"], stored["best"]
        if [row["epoch"] for row in history] != list(range(len(history))):
            raise ValueError("epochs are missing")
        if _shapes(best) != _shapes(eval_model.state_dict()):
            raise ValueError("the best weights do not fit the network")
        for name, part in parts.items():
            part.load_state_dict(stored["state"][name])
    except Exception as error:  # the type depends on which bytes are damaged
        if is_out_of_memory(error):
            raise
        for name, part in parts.items():
            part.load_state_dict(before[name])
        processes.print_once(
            f"{path} is damaged ({type(error).__name__}); restarting this training"
        )
        return [], {}
    return history, best


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _read(path: Path) -> dict:
    # torch.load does not verify checksums, and reads a bare pickle as its old file format.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"{damaged} is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)
