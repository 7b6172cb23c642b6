"""Frozen networks without PyTorch: equal features, from the same weights."""

import cv2
import numpy as np
import onnx
import pytest
import torch
from tiny import demo_photo

from portrait18.core.errors import UserError
from portrait18.core.feature_params import View
from portrait18.core.onnx_runtime import OnnxNetwork
from portrait18.core.weight_sources import BUNDLED
from portrait18.models import onnx_backbones
from portrait18.models.extraction import Extractor
from portrait18.models.faces import FACE_BACKBONES

SHOWN = [View(), View(flip=True), View(scale=1.1, rotate=5)]


def crops() -> np.ndarray:
    states = ("normal", "mask1", "incorrect_mask")
    return np.stack([cv2.resize(demo_photo(state), (96, 96)) for state in states])


@pytest.mark.parametrize("name", onnx_backbones.BACKBONES)
def test_features_and_digest_are_those_of_pytorch(name):
    ours = onnx_backbones.OnnxExtractor(name, 96, 0.3)(crops(), SHOWN)
    theirs = Extractor(name, "bundled", 96, 0.3, torch.device("cpu"))
    expected = theirs(crops(), SHOWN)
    assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
    # One unit of float16 at most, and nearly all features are the same.
    np.testing.assert_allclose(ours.astype(float), expected, rtol=1e-3, atol=5e-4)
    assert (ours == expected).mean() > 0.9
    assert np.ptp(expected, axis=0).max() > 0.1, "the crops must differ"
    assert onnx_backbones.BACKBONES[name].digest == theirs.backbone.digest


def test_every_bundled_face_network_can_be_built():
    assert set(onnx_backbones.BACKBONES) == set(BUNDLED) & set(FACE_BACKBONES)


def test_models_are_valid_onnx():
    model = onnx.load_from_string(onnx_backbones.build("dlib_resnet_middle", 64, 0.4))
    onnx.checker.check_model(model, full_check=True)
    (value,) = model.graph.output
    assert [side.dim_value for side in value.type.tensor_type.shape.dim] == [0, 512]


def test_a_damaged_network_is_reported_in_one_line(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(onnx_backbones.build("dlib_resnet_middle", 64, 0.4)[:100_000])
    with pytest.raises(UserError, match=r"broken\.onnx is no network that ONNX Runtime can run"):
        OnnxNetwork(path)
