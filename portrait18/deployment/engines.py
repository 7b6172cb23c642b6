"""What runs the networks of a bundle: PyTorch, or ONNX Runtime without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from portrait18.core import extras
from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.params import PredictParams
from portrait18.deployment.bundle import Manifest

if TYPE_CHECKING:
    import torch

ENGINES = ("torch", "onnx")


class Network(Protocol):
    """A trained network for inference, such as `inference.Model` and `onnx_inference.OnnxModel`."""

    @property
    def params(self) -> ModelParams:
        """The params it was trained with."""

    def predict(
        self, crops: np.ndarray, rows: np.ndarray, params: PredictParams, cache: dict
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `inference.Model.predict`."""


def choose(engine: str | None, device: str | torch.device | None = None) -> str:
    """Return the engine: the named one, else `torch` where PyTorch is installed, else `onnx`.

    Args:
        engine: one of `ENGINES`, or None.
        device: where the networks run; ONNX Runtime runs them on the CPU only.

    Raises:
        UserError: an unknown engine, PyTorch is missing, or a device that the engine can't use.
    """
    if engine is None:
        engine = "onnx" if extras.missing("torch") and device is None else "torch"
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is none of {', '.join(ENGINES)}; use one of them")
    if engine == "torch":
        extras.require("torch", "engine torch")
    elif device is not None and str(device) != "cpu":
        raise UserError(f"engine onnx runs on the CPU, not on {device}; use engine torch")
    return engine


def prepare(engine: str | None) -> None:
    """Make predictions reproducible; call it once, before the networks are loaded.

    Args:
        engine: one of `ENGINES`, or None for the one that `choose` returns.

    Raises:
        UserError: see `choose`.
    """
    if choose(engine) == "torch":
        from portrait18.core.device import set_deterministic

        set_deterministic()


def load(
    folder: Path, manifest: Manifest, engine: str | None, device: str | torch.device | None
) -> tuple[Sequence[Network], torch.device | None]:
    """Load the networks of a bundle.

    Args:
        folder: of the bundle.
        manifest: content of its bundle.json.
        engine: one of `ENGINES`, or None; see `choose`.
        device: where PyTorch runs them; None: a GPU if available.

    Returns:
        The networks, and the device; None with ONNX Runtime.
    """
    extractors: dict = {}  # networks share frozen backbones
    if choose(engine, device) == "onnx":
        from portrait18.models import onnx_inference

        return [
            onnx_inference.load(
                folder / entry.file, folder / entry.onnx if entry.onnx else None, extractors
            )
            for entry in manifest.networks
        ], None
    import torch

    from portrait18.core.device import device as default_device
    from portrait18.models import inference

    used = default_device() if device is None else torch.device(device)
    files = [folder / entry.file for entry in manifest.networks]
    return [inference.load(file, used, extractors) for file in files], used
