"""Predict class probabilities of crops with ONNX Runtime and NumPy, without PyTorch.

A head on frozen face networks needs no file but its weights: `onnx_backbones` builds the networks.
Any other network needs the ONNX file that the pipeline exports.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError, safe_open

from portrait18.core.data_params import CropParams
from portrait18.core.errors import UserError
from portrait18.core.feature_params import View
from portrait18.core.model_params import ModelParams
from portrait18.core.onnx_runtime import OnnxNetwork
from portrait18.core.params import PredictParams
from portrait18.models import contrast
from portrait18.models.numpy_heads import NumpyHead
from portrait18.models.onnx_backbones import BACKBONES, OnnxExtractor
from portrait18.models.views import center_crop, resize

#: Extractor, views and first row of a batch -> features of the batch.
FeatureCache: TypeAlias = dict[tuple[OnnxExtractor, tuple[View, ...], int], np.ndarray]
#: Name and `image_size` of a backbone -> its extractor.
Extractors: TypeAlias = dict[tuple[str, int], OnnxExtractor]
#: The key of the metadata, as in `model_files`.
_METADATA = "portrait18"


@dataclass(frozen=True)
class OnnxModel:
    """A network that was exported as ONNX, with flipping and the decoding of its target.

    Attributes:
        network: from crops to `probabilities` and maybe `years`.
        params: the params it was trained with.
    """

    network: OnnxNetwork
    params: ModelParams

    def predict(
        self, crops: np.ndarray, rows: np.ndarray, params: PredictParams, cache: FeatureCache
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `inference.predict`.

        Args:
            crops: uint8 (N, S, S, 3).
            rows: int (M,), which crops, in which order.
            params: batch size and test-time augmentation.
            cache: not used, as this network shares nothing.
        """
        results: dict[str, list[np.ndarray]] = {}
        for start in range(0, len(rows), params.batch_size):
            batch = crops[rows[start : start + params.batch_size]]
            batch = contrast.equalize(batch, self.params.clahe)
            shown = [center_crop(batch, scale) for scale in params.tta_scales]
            outputs = [self.network(resize(view, self.params.image_size)) for view in shown]
            for name in outputs[0]:
                results.setdefault(name, []).append(np.mean([o[name] for o in outputs], axis=0))
        joined = {name: np.concatenate(parts) for name, parts in results.items()}
        return joined["probabilities"], joined.get("years")


@dataclass(frozen=True)
class OnnxHead:
    """A head on frozen backbones.

    Attributes:
        head: from features to predictions.
        extractors: the backbones, which other heads may share.
        views: the views that predictions average.
        params: the params it was trained with.
    """

    head: NumpyHead
    extractors: list[OnnxExtractor]
    views: tuple[View, ...]
    params: ModelParams

    def predict(
        self, crops: np.ndarray, rows: np.ndarray, params: PredictParams, cache: FeatureCache
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities and expected ages; see `OnnxModel.predict`.

        Args:
            crops: uint8 (N, S, S, 3).
            rows: int (M,), which crops, in which order.
            params: batch size.
            cache: features of the same crops, rows and batch size; missing ones are added.
        """
        results = []
        for start in range(0, len(rows), params.batch_size):
            parts = []
            for extractor in self.extractors:
                key = extractor, self.views, start
                if key not in cache:
                    batch = crops[rows[start : start + params.batch_size]]
                    cache[key] = extractor(batch, self.views)
                parts.append(cache[key])
            results.append(self.head(np.concatenate(parts, 2)))
        probabilities, years = zip(*results, strict=True)
        joined = None if years[0] is None else np.concatenate(years)
        return np.concatenate(probabilities), joined


def load(path: Path, onnx: Path | None, extractors: Extractors) -> OnnxModel | OnnxHead:
    """Load a model without PyTorch.

    Args:
        path: the .safetensors file of `inference.save` or `frozen.save`.
        onnx: its ONNX file, None if it was not exported.
        extractors: frozen backbones that are loaded already; missing ones are added.

    Raises:
        UserError: written by another version, a backbone whose weights have changed, or a network
            that was not exported as ONNX.
    """
    state, description = _read(path)
    try:
        params = ModelParams.model_validate({**description["model"], "num_workers": 0})
        margin = CropParams.model_validate(description["crop"]).margin
        frozen = description.get("frozen", {"backbones": [], "views": []})
        views = tuple(View.model_validate(view) for view in frozen["views"])
        used = [(each["name"], each["image_size"]) for each in frozen["backbones"]]
        is_known = bool(used) and all(map(_is_known, frozen["backbones"]))
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"model {path} was written by another version of this project; run dvc repro"
        ) from None
    if is_known:
        for key in used:
            if key not in extractors:
                extractors[key] = OnnxExtractor(*key, margin)
        return OnnxHead(NumpyHead(state, params), [extractors[k] for k in used], views, params)
    if onnx is None:
        raise UserError(
            f"{path} runs without PyTorch only if it is exported too: pip install"
            " 'portrait18[torch]', or set export.onnx: true and run dvc repro export"
        )
    return OnnxModel(OnnxNetwork(onnx), params)


def _is_known(backbone: dict[str, Any]) -> bool:
    """Return whether a backbone, as `frozen.save` describes it, can be built without PyTorch.

    Raises:
        UserError: it can, but with other weights than the head was trained on.
    """
    name, weights, digest = (backbone[key] for key in ("name", "weights", "digest"))
    if weights != "bundled" or name not in BACKBONES:
        return False
    if digest != BACKBONES[name].digest:
        raise UserError(
            f"the {weights} weights of {name} are not those that the model's head was trained on"
            f" (sha256 {BACKBONES[name].digest[:12]}, not {digest[:12]}); install the version of"
            " this package that trained it, or run dvc repro"
        )
    return True


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and the description in a .safetensors file."""
    try:
        with safe_open(path, "numpy") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return state, json.loads((file.metadata() or {})[_METADATA])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"model {path} can't be read ({error}); copy the folder again") from None
