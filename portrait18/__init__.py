"""Mask, gender and age group from portrait photos.

>>> import portrait18
>>> predictor = portrait18.load()
>>> for face in predictor.predict("portrait.jpg").faces:
...     print(face.class_name, face.years)
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from portrait18.deployment.predictor import Predictor

__all__ = ["load"]


def load(
    folder: str | os.PathLike | None = None,
    device: str | torch.device | None = None,
    min_face: float | None = None,
    engine: str | None = None,
) -> Predictor:
    """Load a trained ensemble. Nothing in its folder is executed.

    Args:
        folder: a bundle that `dvc repro export` wrote; by default `models/bundle` if it exists,
            else the starter model, which a warning says.
        device: where the networks run, such as `cpu` or `cuda:0`; by default a GPU if available.
            ONNX Runtime runs them on the CPU only.
        min_face: smallest face to look for, as a fraction of the photo's shorter side, above 0 and
            at most 1; by default the one that the training photos were cropped with.
        engine: what runs the networks: `torch` (PyTorch), or `onnx` (ONNX Runtime), which needs no
            PyTorch; by default PyTorch if it is installed.

    Raises:
        portrait18.core.errors.UserError: no bundle there, corrupt, or written in another format;
            an engine that is not installed or can't run the bundle's networks.
    """
    from portrait18.deployment import bundle, predictor  # NumPy and the engine take time to import

    chosen = bundle.choose(folder)
    if folder is None and chosen == bundle.STARTER:
        warnings.warn(f"{bundle.title(chosen)}; load(FOLDER) loads another bundle", stacklevel=2)
    return predictor.load(chosen, device, min_face, engine)
