"""Save and load trained models, and predict class probabilities of crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import nn

from portrait18.core.data_params import CropParams
from portrait18.core.device import full_precision
from portrait18.core.feature_params import View
from portrait18.core.model_params import ModelParams
from portrait18.core.params import PredictParams
from portrait18.models import backbones, contrast, extraction, frozen
from portrait18.models.extraction import Extractor
from portrait18.models.folding import fold_batchnorm
from portrait18.models.frozen import FrozenBackbone, StandardizedHead
from portrait18.models.model_files import ModelFile, read_model, write_model
from portrait18.models.targets import Target, make_target
from portrait18.models.views import CropArray, center_crop, resize, to_device

#: Backbone, views and first row of a batch -> features of the batch.
FeatureCache: TypeAlias = dict[tuple[FrozenBackbone, tuple[View, ...], int], np.ndarray]


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

    def flips(self, params: PredictParams) -> bool:
        """Return whether predictions average over the mirrored crop."""
        return params.flip

    def predict(
        self,
        crops: CropArray,
        rows: np.ndarray,
        params: PredictParams,
        cache: FeatureCache | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `predict`.

        Args:
            crops: uint8 (N, S, S, 3).
            rows: int (M,), which crops, in which order.
            params: batch size and test-time augmentation.
            cache: features of frozen backbones for the same crops, rows and batch size.
        """
        options = PredictOptions(
            self.params.image_size,
            params.batch_size,
            params.flip,
            params.tta_scales,
            self.params.clahe,
        )
        return predict(self.network, self.target, crops, rows, options)


@dataclass(frozen=True)
class FrozenModel(Model):
    """A trained head with its frozen backbones.

    Attributes:
        extractors: the backbones, which other models may share.
        views: the views that predictions average, in place of `predict.flip` and `tta_scales`.
    """

    extractors: list[Extractor]
    views: list[View]

    def flips(self, params: PredictParams) -> bool:
        """Return whether predictions average over the mirrored crop."""
        return View(flip=True) in self.views

    def predict(
        self,
        crops: CropArray,
        rows: np.ndarray,
        params: PredictParams,
        cache: FeatureCache | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `Model.predict`."""
        cache = {} if cache is None else cache
        results = []
        for start in range(0, len(rows), params.batch_size):
            parts = []
            for extractor in self.extractors:
                key = extractor.backbone, tuple(self.views), start
                if key not in cache:
                    batch = crops[rows[start : start + params.batch_size]]
                    cache[key] = extractor(batch, self.views)
                parts.append(cache[key])
            head = cast(nn.Module, self.network.head)
            results.append(frozen.predict(head, self.target, np.concatenate(parts, 2)))
        probabilities, years = zip(*results, strict=True)
        joined = None if years[0] is None else np.concatenate(years)
        return np.concatenate(probabilities), joined


def save(path: Path, network: nn.Module, params: ModelParams, crop: CropParams) -> None:
    """Write a network; see `model_files.write_model`."""
    write_model(path, network, params, crop)


def load(
    path: Path, device: torch.device, extractors: dict[FrozenBackbone, Extractor] | None = None
) -> Model:
    """Load a model that `save` or `frozen.save` wrote, for inference.

    Args:
        path: of the .safetensors file.
        device: where it will run.
        extractors: frozen backbones that are loaded already; missing ones are added. Models that
            are loaded with the same dict share them.

    Raises:
        UserError: missing or damaged file, written by another program or version, or a frozen
            backbone whose weights have changed.
    """
    file = read_model(path)
    target = make_target(file.params)
    if file.frozen:
        return _load_frozen(file, target, device, {} if extractors is None else extractors)
    network: nn.Module = backbones.create(
        file.params, target.widths, file.crop.margin, weights="none"
    )
    file.load_into(network)
    network = fold_batchnorm(network, file.params.image_size)
    network = network.to(device).to(memory_format=torch.channels_last)
    return Model(network.eval(), target, file.params, file.crop)


def _load_frozen(
    file: ModelFile,
    target: Target,
    device: torch.device,
    extractors: dict[FrozenBackbone, Extractor],
) -> FrozenModel:
    names = [FrozenBackbone(**backbone) for backbone in file.frozen["backbones"]]
    for name in names:
        if name not in extractors:
            extractors[name] = extraction.create(name, file.crop.margin, device)
    used = [extractors[name] for name in names]
    parts = [cast(backbones.Features, extractor.network) for extractor in used]
    head = StandardizedHead(sum(part.width for part in parts), target.widths, file.params)
    file.load_into(head)
    network = backbones.Network(parts, head.to(device)).eval()
    shown = [View.model_validate(view) for view in file.frozen["views"]]
    return FrozenModel(network, target, file.params, file.crop, used, shown)


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
            view = to_device(resize(center_crop(batch, scale), options.image_size), device)
            outputs += [network(v) for v in ([view, view.flip(3)] if options.flip else [view])]
        probabilities.append(torch.stack([target.probabilities(o) for o in outputs]).mean(0).cpu())
        if target.years:
            years.append(torch.stack([target.years(o) for o in outputs]).mean(0).cpu())
    return torch.cat(probabilities).numpy(), torch.cat(years).numpy() if years else None
