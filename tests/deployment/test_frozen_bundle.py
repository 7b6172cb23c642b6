"""Bundles of frozen models: small files, one pass through a shared backbone, ONNX."""

import bundling
import numpy as np
import onnxruntime
import pytest
import torch
from bundling import RUNS, VOTERS, noise
from tiny import model_params

from portrait18.core.feature_params import View
from portrait18.core.params import PredictParams
from portrait18.models import frozen, inference
from portrait18.models.extraction import Extractor
from portrait18.models.frozen import FeatureSource, StandardizedHead
from portrait18.models.targets import make_target
from portrait18.models.views import resize

NAME = "tf_efficientnet_lite0"
CPU = torch.device("cpu")
SHOWN = [View(), View(flip=True)]


@pytest.fixture
def frozen_heads(monkeypatch):
    """All models of the bundle but `all` become ridge or linear heads on one frozen backbone."""
    extractor = Extractor(NAME, "bundled", 32, 0.4, CPU)
    features = extractor(noise(30), SHOWN)
    write_network = bundling.write_weights

    def write(run, crop, **changes):
        if run.model == "all":
            return write_network(run, crop, **changes)
        ridge = {"name": "ridge", "gamma": 0.4, "penalty": 0.5}
        changes["head"] = "linear" if run.model == "years" else ridge
        params = model_params(backbone=NAME, image_size=32, **changes)
        head = StandardizedHead(1280, make_target(params).widths, params)
        head.fit(features[:, 0])
        torch.manual_seed(run.fold + sum(run.name.encode()))
        if run.model != "years":
            head.head.support = torch.randn(9, 1280).half()
            head.head.coefficients = torch.randn(9, len(head.head.bias)) * 4
        frozen.save(run.weights, head, params, crop, FeatureSource([extractor.backbone], SHOWN))

    monkeypatch.setattr(bundling, "write_weights", write)


def test_networks_share_one_pass_through_their_backbone(frozen_heads, load_bundle, monkeypatch):
    loaded = load_bundle(voters=VOTERS)
    calls = []
    computed = Extractor.__call__
    monkeypatch.setattr(
        Extractor, "__call__", lambda *args: calls.append(len(args[1])) or computed(*args)
    )
    crops = noise(6)
    predictions = loaded.classify(crops)
    assert calls == [4, 2], "batches of 4 crops, once for four networks"
    options = PredictParams(batch_size=4, flip=True, tta_scales=[1.0])
    members = [inference.load(run.weights, CPU) for run in RUNS[:2]]
    parts = [member.predict(crops, np.arange(6), options)[0] for member in members]
    own = np.mean(parts, 0)
    joint = inference.load(RUNS[4].weights, CPU)
    views = loaded.manifest.predict
    cube = joint.predict(crops, np.arange(6), views)[0].reshape(6, 3, 2, 3)
    expected = (own + cube.sum((2, 3))) / 2
    np.testing.assert_allclose(predictions.mask, expected, atol=1e-3)


def test_the_backbone_is_not_in_the_bundle(frozen_heads, make_bundle):
    folder = make_bundle()
    assert (folder / "gender-0-0.safetensors").stat().st_size < 100_000


def test_an_exported_head_has_its_backbone(frozen_heads, make_bundle):
    folder = make_bundle(onnx=True)
    crops = noise(3, side=40)
    model = inference.load(folder / "mask-0-0.safetensors", CPU)
    options = PredictParams(batch_size=4, flip=False, tta_scales=[1.0])
    expected, _ = model.predict(crops, np.arange(3), options)
    session = onnxruntime.InferenceSession(folder / "mask-0-0.onnx")
    (probabilities,) = session.run(None, {"crops": resize(crops, 32)})
    np.testing.assert_allclose(probabilities, expected, atol=0.02)
