"""What a killed training leaves for the next run: all of its state after the last whole epoch."""

import hashlib
import json
from pathlib import Path
from pickle import UnpicklingError

import albumentations
import numpy as np
import pandas as pd
import timm
import torch

from portrait18.files import code_digest, whole


def fingerprint(crops: np.ndarray, labels: pd.DataFrame, fold_of: np.ndarray, *params) -> str:
    """A hash of all that a training depends on: work done for anything else is not gone on with."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(labels.to_csv(index=False).encode())
    digest.update(np.ascontiguousarray(fold_of))
    made_by = [torch.__version__, timm.__version__, albumentations.__version__, code_digest()]
    digest.update(json.dumps([crops.shape, made_by, *params], sort_keys=True).encode())
    for at in range(0, len(crops), 1024):
        digest.update(np.ascontiguousarray(crops[at : at + 1024]))
    return digest.hexdigest()


def save(path: Path, fingerprint: str, parts: dict, history: list[dict], best: dict) -> None:
    """Write the state of `parts` (anything with `state_dict`), the history and the best epoch's weights."""
    state = {name: part.state_dict() for name, part in parts.items()}
    with whole(path) as aside:
        torch.save({"fingerprint": fingerprint, "state": state, "history": history, "best": best}, aside)


def resume(path: Path, fingerprint: str, parts: dict) -> tuple[list[dict], dict | None]:
    """Put `parts` back into the state that `save` wrote, if it was written for the same inputs.

    Returns:
        (history, best epoch's weights), or ([], None) where there is nothing to go on from. A file
        that can't be read counts as nothing: it costs the epochs it held, not the run.
    """
    if not path.exists():
        return [], None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        print(f"{path} is damaged ({type(error).__name__}); starting this training anew")
        return [], None
    if stored["fingerprint"] != fingerprint:
        return [], None
    for name, part in parts.items():
        part.load_state_dict(stored["state"][name])
    return stored["history"], stored["best"]
