"""From crops to class probabilities, with a trained model read from one .safetensors file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import nn

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import write_bytes
from portrait18.core.model_params import ModelParams
from portrait18.core.params import CropParams
from portrait18.models import backbones, targets
from portrait18.models.folding import folded
from portrait18.models.targets import Target

METADATA = "portrait18"


@dataclass(frozen=True)
class Model:
    """A trained network, for inference alone, with how it was posed and how its crops were cut."""

    network: nn.Module
    target: Target
    params: ModelParams
    crop: CropParams


def save(path: Path, network: nn.Module, params: ModelParams, crop: CropParams) -> None:
    """Write weights, and in the metadata all that inference needs."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    # One key: safetensors writes several in no fixed order, and equal models must have equal bytes.
    metadata = {
        METADATA: json.dumps(
            {"model": params.model_dump(exclude={"num_workers"}), "crop": crop.model_dump()},
            sort_keys=True,
        )
    }
    write_bytes(to_bytes(tensors, metadata), path)


def load(path: Path, device: torch.device) -> Model:
    """Read a model that `save` wrote; nothing of the file is executed."""
    if not path.exists():
        raise UserError(f"model {path} is missing; run dvc repro")
    metadata, tensors = backbones.read_metadata(path), backbones.read_tensors(path)
    if METADATA not in metadata:
        raise UserError(f"model {path} was not written by this project; train one with dvc repro")
    try:
        stored = json.loads(metadata[METADATA])
        params, crop = (
            ModelParams.model_validate({**stored["model"], "num_workers": 0}),
            CropParams.model_validate(stored["crop"]),
        )
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"model {path} was made by another version of this project; run dvc repro"
        ) from None
    target = targets.make(params)
    network = backbones.create(params, target.widths, weights="none")
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"model {path} does not fit its own description ({str(error).splitlines()[0]}); {REPAIR_HINT}"
        ) from None
    network = folded(network, params.image_size).to(device, memory_format=torch.channels_last)
    return Model(network.eval(), target, params, crop)


def resized(crops: np.ndarray, size: int) -> np.ndarray:
    """Crops uint8 (N, S, S, 3) at another size; averages over areas when it shrinks."""
    if crops.shape[1] == size:
        return np.ascontiguousarray(crops)
    return np.stack(
        [cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops]
    )


def _middle(crops: np.ndarray, share: float) -> np.ndarray:
    side = crops.shape[1]
    edge = round(side * (1 - share) / 2)
    return crops[:, edge : side - edge, edge : side - edge]


def to_device(photos: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 (N, S, S, 3) -> uint8 (N, 3, S, S) on the device, channels last in memory, as it came."""
    tensor = torch.from_numpy(photos)
    if device.type == "cuda":
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2)


@torch.inference_mode()
def predict(
    network: nn.Module,
    target: Target,
    crops: np.ndarray,
    rows: np.ndarray,
    size: int,
    batch_size: int,
    flip: bool,
    tta_scales: Sequence[float] = (1.0,),
) -> tuple[np.ndarray, np.ndarray | None]:
    """Class probabilities of some crops.

    Args:
        crops: uint8 (N, S, S, 3); a memory map will do, it is read a batch at a time.
        rows: which of them, in which order.
        size: pixels the network sees.
        flip: average the probabilities with those of the mirrored crop.
        tta_scales: average over the crop's middle at these shares of its width (1: all of it).

    Returns:
        float32 (len(rows), classes), and the expected years float32 (len(rows),) or None.
    """
    network.eval()
    device = next(network.parameters()).device
    probabilities, years = [], []
    for at in range(0, len(rows), batch_size):
        stored = crops[rows[at : at + batch_size]]
        views = [to_device(resized(_middle(stored, zoom), size), device) for zoom in tta_scales]
        views = [network(v) for view in views for v in ([view, view.flip(3)] if flip else [view])]
        probabilities.append(torch.stack([target.probabilities(v) for v in views]).mean(0).cpu())
        if target.years:
            years.append(torch.stack([target.years(v) for v in views]).mean(0).cpu())
    return torch.cat(probabilities).numpy(), torch.cat(years).numpy() if years else None
