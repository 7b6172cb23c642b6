"""Heads on the features of frozen backbones; everything but the backbones themselves.

Features are float16: half the disk space of float32, and their rounding, 1 in 2,000, moves no
score. Every head sees rounded features, also in `portrait18 predict`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from portrait18.core.data_params import CropParams
from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.feature_params import View
from portrait18.core.files import read_json, write_json
from portrait18.core.model_params import ModelParams
from portrait18.dataset.crop_store import open_memmap
from portrait18.models.heads import KernelHead, make_head
from portrait18.models.model_files import write_model
from portrait18.models.targets import Target


@dataclass(frozen=True)
class FrozenBackbone:
    """A backbone whose weights never change.

    Attributes:
        name: as in `features.backbones`.
        weights: their source, as in `features.weights`.
        digest: SHA-256 of the tensors; other tensors are refused.
        image_size: side of its input in pixels.
    """

    name: str
    weights: str
    digest: str
    image_size: int


class StandardizedHead(nn.Module):
    """A head on features with mean 0 and standard deviation 1 over the training photos.

    Args:
        features: number of features, F.
        widths: outputs of each of the head's parts.
        params: the model's params.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: int, widths: tuple[int, ...], params: ModelParams):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.head = make_head(features, widths, params)

    @property
    def averages_views(self) -> bool:
        """Whether it sees the mean of a photo's views, not each view."""
        return isinstance(self.head, KernelHead)

    def fit(self, features: np.ndarray, blocks: Sequence[int] = ()) -> None:
        """Set mean and standard deviation from features.

        Args:
            features: float (N, F).
            blocks: widths of parts of the features that shall have equal influence on distances;
                they sum up to F. Empty: every feature has.
        """
        values = features.astype(np.float64)
        std = values.std(0)
        std = np.where(std > 1e-6, std, 1.0)  # a constant feature stays constant
        for part in np.split(std, np.cumsum(blocks)[:-1]) if blocks else ():
            part *= np.sqrt(len(part) * len(blocks) / len(std))
        self.mean.copy_(torch.from_numpy(values.mean(0)))
        self.std.copy_(torch.from_numpy(std))

    def standardize(self, features: torch.Tensor) -> torch.Tensor:
        """Return standardized features, float32 (N, F)."""
        return (features.float() - self.mean) / self.std

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the head's outputs for features (N, F) of any float type."""
        return self.head(self.standardize(features))


class HeadNetwork(nn.Module):
    """A network for features instead of photos, with the attributes of `backbones.Network`."""

    def __init__(self, head: StandardizedHead):
        super().__init__()
        self.features = nn.ModuleList()
        self.head = head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the head's outputs for features (N, F), float32."""
        return self.head(features).float()


@torch.inference_mode()
def predict(
    head: nn.Module, target: Target, features: np.ndarray, batch_size: int = 1024
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return class probabilities of photos, averaged over their views.

    Kernel heads average the features instead.

    Args:
        head: from features (N, F) to outputs; is put into evaluation mode.
        target: decodes the outputs.
        features: float16 (N, V, F) of V views.
        batch_size: photos per forward pass.

    Returns:
        Probabilities, float32 (N, classes), and the expected ages in years, float32 (N,), or None
        if the target has no ages.
    """
    head.eval()
    device = next(iter(head.state_dict().values())).device
    probabilities, years = [], []
    for start in range(0, len(features), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(features[start : start + batch_size]))
        if getattr(head, "averages_views", False):
            batch = batch.float().mean(1, keepdim=True)
        outputs = head(batch.to(device).flatten(0, 1))
        views = (-1, batch.shape[1])
        probabilities.append(target.probabilities(outputs).unflatten(0, views).mean(1).cpu())
        if target.years:
            years.append(target.years(outputs).unflatten(0, views).mean(1).cpu())
    return torch.cat(probabilities).numpy(), torch.cat(years).numpy() if years else None


def write_description(
    path: Path, backbone: FrozenBackbone, views: Iterable[View], blocks: Sequence[int]
) -> None:
    """Write what a file of features was computed with, next to it.

    Args:
        path: of the features.
        backbone: what computed them.
        views: views of each photo.
        blocks: number of features from each layer of the backbone.
    """
    shown = [view.model_dump() for view in views]
    description = {**vars(backbone), "views": shown, "blocks": list(blocks)}
    write_json(description, path.with_suffix(".json"))


@dataclass(frozen=True)
class FeatureSource:
    """What features are computed with.

    Attributes:
        backbones: in the order of their features.
        views: changes of each photo.
    """

    backbones: list[FrozenBackbone]
    views: list[View]


@dataclass(frozen=True)
class FeatureSet:
    """Features of one set of photos.

    Attributes:
        values: float16 (N, V, F), V views and the features of all backbones joined.
        source: what computed them.
        blocks: number of features from each layer of each backbone.
    """

    values: np.ndarray
    source: FeatureSource
    blocks: list[int]


def read_features(paths: list[Path], count: int) -> FeatureSet:
    """Read the features of several backbones.

    Args:
        paths: one file for each backbone.
        count: number of photos, N.

    Raises:
        UserError: a file is missing or damaged, or they were computed with different views.
    """
    parts, backbones, views, blocks = [], [], [], []
    for path in paths:
        stored: dict[str, Any] = read_json(path.with_suffix(".json"))
        views.append([View.model_validate(view) for view in stored.pop("views")])
        blocks += stored.pop("blocks")
        backbones.append(FrozenBackbone(**stored))
        parts.append(open_memmap(path, (count, len(views[-1]), None), np.float16))
    if any(other != views[0] for other in views):
        raise UserError(f"{', '.join(map(str, paths))} have different views; run dvc repro")
    source = FeatureSource(backbones, views[0])
    return FeatureSet(np.concatenate(parts, axis=2), source, blocks)


def validate_same(train: FeatureSet, evaluation: FeatureSet) -> None:
    """Check that both sets come from the same networks and views.

    Args:
        train: features of the training set.
        evaluation: features of the evaluation set; its views are the first ones of `train`.

    Raises:
        UserError: they differ.
    """
    shown = train.source.views[: len(evaluation.source.views)]
    if FeatureSource(train.source.backbones, shown) != evaluation.source:
        raise UserError(
            "data/features: train.json and eval.json differ in backbone, weights, image_size or"
            f" views; {REPAIR_HINT}"
        )


def save(
    path: Path, head: nn.Module, params: ModelParams, crop: CropParams, source: FeatureSource
) -> None:
    """Write a head, with all that inference needs in the metadata.

    Args:
        path: of the .safetensors file.
        head: a `StandardizedHead`.
        params: the model's params.
        crop: the params that the crops were made with.
        source: what its features are computed with; predictions average the views.
    """
    description = {
        "backbones": [vars(backbone) for backbone in source.backbones],
        "views": [view.model_dump() for view in source.views],
    }
    write_model(path, head, params, crop, {"frozen": description})
