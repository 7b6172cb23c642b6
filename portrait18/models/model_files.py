"""The files of trained models: safetensors with a description in the metadata."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import nn

from portrait18.core.data_params import CropParams
from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import write_bytes
from portrait18.core.model_params import ModelParams
from portrait18.models import weights

#: The only metadata key: safetensors writes several in random order, and equal models must have
#: equal bytes.
METADATA = "portrait18"


@dataclass(frozen=True)
class ModelFile:
    """Content of a model's file.

    Attributes:
        path: the file, for messages.
        tensors: state dict of the network, or of the head if the backbones are frozen.
        params: the params that the model was trained with.
        crop: the params that its training crops were made with.
        frozen: backbones and views of a frozen model, {} for others.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    params: ModelParams
    crop: CropParams
    frozen: dict[str, Any]

    def load_into(self, module: nn.Module) -> None:
        """Load the tensors into a module.

        Raises:
            UserError: they do not fit.
        """
        try:
            module.load_state_dict(self.tensors)
        except RuntimeError as error:
            raise UserError(
                f"model {self.path} does not match its own description"
                f" ({str(error).splitlines()[0]}); {REPAIR_HINT}"
            ) from None


def write_model(
    path: Path,
    module: nn.Module,
    params: ModelParams,
    crop: CropParams,
    more: dict[str, Any] | None = None,
) -> None:
    """Write a module's tensors, with all that inference needs in the metadata.

    Args:
        path: of the .safetensors file.
        module: the network, or the head of a frozen model.
        params: the model's params; `num_workers` is left out, because it does not affect the model.
        crop: the params that the training crops were made with.
        more: further JSON values for the description.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    description = {
        "model": params.model_dump(exclude={"num_workers"}),
        "crop": crop.model_dump(),
        **(more or {}),
    }
    write_bytes(to_bytes(tensors, {METADATA: json.dumps(description, sort_keys=True)}), path)


def read_model(path: Path) -> ModelFile:
    """Read a file of `write_model`; nothing in it is executed.

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
        return ModelFile(path, tensors, params, crop, stored.get("frozen", {}))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"model {path} was written by another version of this project; run dvc repro"
        ) from None
