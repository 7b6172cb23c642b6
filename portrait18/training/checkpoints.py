"""What a killed training leaves for the next run: all of its state after the last whole epoch."""

import copy
import hashlib
import io
import json
import zipfile
from pathlib import Path

import albumentations
import numpy as np
import pandas as pd
import timm
import torch

from portrait18.core import processes
from portrait18.core.errors import is_out_of_memory
from portrait18.core.files import write_bytes


def fingerprint(crops: np.ndarray, labels: pd.DataFrame, fold_of: np.ndarray, *params) -> str:
    """A hash of all that a training depends on: work done for anything else is not gone on with."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(labels.to_csv(index=False).encode())
    digest.update(np.ascontiguousarray(fold_of))
    made_by = [torch.__version__, timm.__version__, albumentations.__version__]
    digest.update(json.dumps([crops.shape, made_by, *params], sort_keys=True).encode())
    for at in range(0, len(crops), 1024):
        digest.update(np.ascontiguousarray(crops[at : at + 1024]))
    return digest.hexdigest()


def save(path: Path, fingerprint: str, parts: dict, history: list[dict], best: dict) -> None:
    """Write the state of `parts` (anything with `state_dict`), the history and the best epoch's weights."""
    state = {name: part.state_dict() for name, part in parts.items()}
    written = io.BytesIO()
    torch.save(
        {"fingerprint": fingerprint, "state": state, "history": history, "best": best}, written
    )
    write_bytes(written.getbuffer(), path)


def resume(
    path: Path, fingerprint: str, parts: dict, judged: torch.nn.Module
) -> tuple[list[dict], dict | None]:
    """Put `parts` back into the state that `save` wrote, if it was written for the same inputs.

    Args:
        judged: the network that the best epoch's weights are of.

    Returns:
        (history, best epoch's weights), or ([], None) where there is nothing to go on from. A file
        that can't be read counts as nothing: it costs the epochs it held, not the run.
    """
    if not path.exists():
        return [], None
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        stored = _read(path)
        if stored["fingerprint"] != fingerprint:
            return [], None
        history, best = stored["history"], stored["best"]
        if [row["epoch"] for row in history] != list(range(len(history))):
            raise ValueError("epochs are missing")
        if {k: v.shape for k, v in best.items()} != {
            k: v.shape for k, v in judged.state_dict().items()
        }:
            raise ValueError("the best weights are another network's")
        for name, part in parts.items():
            part.load_state_dict(stored["state"][name])
    except Exception as error:  # a dozen kinds, by where the damage is
        if is_out_of_memory(error):
            raise
        for name, part in parts.items():
            part.load_state_dict(before[name])
        processes.print_once(
            f"{path} is damaged ({type(error).__name__}); starting this training anew"
        )
        return [], None
    return history, best


def _read(path: Path) -> dict:
    # PyTorch leaves the checksums unread, and takes a pickle that is no archive for a file of its old format.
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"{damaged} is damaged")
    return torch.load(path, map_location="cpu", weights_only=True)
