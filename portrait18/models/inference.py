"""Save and load trained models, and predict class probabilities of crops."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import nn

from portrait18.core.device import full_precision
from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import write_bytes
from portrait18.core.model_params import ModelParams
from portrait18.core.params import CropParams, PredictParams
from portrait18.models import backbones, contrast, weights
from portrait18.models.folding import fold_batchnorm
from portrait18.models.targets import Target, make_target

#: The only metadata key: safetensors writes several in random order, and equal models must have
#: equal bytes.
METADATA = "portrait18"


class CropArray(Protocol):
    """Crops, uint8 (N, S, S, 3): an array, a memory map or several crop stores joined."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class PredictOptions:
    """Input size, batch size and test-time augmentation.

    Attributes:
        image_size: pixels at which the network sees a crop.
        batch_size: crops per forward pass.
        flip: average the probabilities with those of the mirrored crop.
        tta_scales: average over center crops with these shares of the crop's width, in (0, 1].
        clahe: contrast limit, see `contrast.equalize`.
    """

    image_size: int
    batch_size: int
    flip: bool = False
    tta_scales: Sequence[float] = (1.0,)
    clahe: float = 0.0


@dataclass(frozen=True)
class Model:
    """A trained model for inference.

    Attributes:
        network: in evaluation mode.
        target: decodes the network's outputs.
        params: the params it was trained with.
        crop: the params its training crops were made with.
    """

    network: nn.Module
    target: Target
    params: ModelParams
    crop: CropParams

    def predict(
        self, crops: CropArray, rows: np.ndarray, params: PredictParams
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `predict`."""
        options = PredictOptions(
            self.params.image_size,
            params.batch_size,
            params.flip,
            params.tta_scales,
            self.params.clahe,
        )
        return predict(self.network, self.target, crops, rows, options)


def save(path: Path, network: nn.Module, params: ModelParams, crop: CropParams) -> None:
    """Write a network's weights, with all that inference needs in the metadata.

    Args:
        path: of the .safetensors file.
        network: as `backbones.create` returns it.
        params: the model's params; `num_workers` is left out, because it does not affect the model.
        crop: the params that the training crops were made with.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    description = {
        "model": params.model_dump(exclude={"num_workers"}),
        "crop": crop.model_dump(),
    }
    write_bytes(to_bytes(tensors, {METADATA: json.dumps(description, sort_keys=True)}), path)


def load(path: Path, device: torch.device) -> Model:
    """Load a model that `save` wrote, for inference; nothing in the file is executed.

    Raises:
        UserError: missing or damaged file, or written by another program or version.
    """
    if not path.exists():
        raise UserError(f"model {path} is missing; run dvc repro")
    metadata, tensors = weights.read_metadata(path), weights.read_tensors(path)
    if METADATA not in metadata:
        raise UserError(f"model {path} was not written by this project; train one with dvc repro")
    try:
        stored = json.loads(metadata[METADATA])
        params = ModelParams.model_validate({**stored["model"], "num_workers": 0})
        crop = CropParams.model_validate(stored["crop"])
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"model {path} was written by another version of this project; run dvc repro"
        ) from None
    target = make_target(params)
    network: nn.Module = backbones.create(params, target.widths, weights="none")
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"model {path} does not match its own description"
            f" ({str(error).splitlines()[0]}); {REPAIR_HINT}"
        ) from None
    network = fold_batchnorm(network, params.image_size)
    network = network.to(device).to(memory_format=torch.channels_last)
    return Model(network.eval(), target, params, crop)


def resize(crops: np.ndarray, size: int) -> np.ndarray:
    """Resize crops, uint8 (N, S, S, 3), to (N, size, size, 3), averaging areas when shrinking."""
    if crops.shape[1] == size:
        return np.ascontiguousarray(crops)
    return np.stack(
        [cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops]
    )


def _center_crop(crops: np.ndarray, scale: float) -> np.ndarray:
    side = crops.shape[1]
    margin = round(side * (1 - scale) / 2)
    return crops[:, margin : side - margin, margin : side - margin]


def to_device(photos: np.ndarray, device: torch.device) -> torch.Tensor:
    """Move uint8 (N, S, S, 3) to the device as uint8 (N, 3, S, S), channels last in memory."""
    tensor = torch.from_numpy(photos)
    if device.type == "cuda":
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2)


@torch.inference_mode()
@full_precision()
def predict(
    network: nn.Module,
    target: Target,
    crops: CropArray,
    rows: np.ndarray,
    options: PredictOptions,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return class probabilities of crops.

    Args:
        network: is put into evaluation mode.
        target: decodes its outputs.
        crops: uint8 (N, S, S, 3); may be a memory map, which is read batch by batch.
        rows: int (M,), which crops, in which order.
        options: input size, batch size and test-time augmentation.

    Returns:
        Probabilities, float32 (M, classes), and the expected ages in years, float32 (M,), or None
        if the target has no ages.
    """
    network.eval()
    device = next(network.parameters()).device
    probabilities, years = [], []
    for start in range(0, len(rows), options.batch_size):
        batch = crops[rows[start : start + options.batch_size]]
        batch = contrast.equalize(batch, options.clahe)
        outputs = []
        for scale in options.tta_scales:
            view = to_device(resize(_center_crop(batch, scale), options.image_size), device)
            outputs += [network(v) for v in ([view, view.flip(3)] if options.flip else [view])]
        probabilities.append(torch.stack([target.probabilities(o) for o in outputs]).mean(0).cpu())
        if target.years:
            years.append(torch.stack([target.years(o) for o in outputs]).mean(0).cpu())
    return torch.cat(probabilities).numpy(), torch.cat(years).numpy() if years else None
