import json

import numpy as np
import pytest
import torch
from tiny import colored_people, crop_params, model_params

from portrait18.core.errors import UserError
from portrait18.core.feature_params import View
from portrait18.core.params import PredictParams
from portrait18.models import extraction, frozen, inference, views
from portrait18.models.extraction import Extractor
from portrait18.models.frozen import FeatureSource, FrozenBackbone, StandardizedHead
from portrait18.models.targets import make_target

CPU = torch.device("cpu")
CROPS, LABELS, _ = colored_people(4)
NAME = "tf_efficientnet_lite0"
SHOWN = [View(), View(flip=True), View(scale=1.2, rotate=5)]
PREDICT = PredictParams(batch_size=7, flip=False, tta_scales=[1.0])
KERNEL = {"name": "kernel", "gamma": 1.0, "C": 1.0, "landmarks": 5}


@pytest.fixture(scope="module")
def extractor():
    return Extractor(NAME, "bundled", 32, 0.4, CPU)


def head_for(features, **changes):
    """A random head that standardizes features (N, V, F)."""
    params = model_params(backbone=NAME, image_size=32, **changes)
    torch.manual_seed(0)
    head = StandardizedHead(features.shape[2], make_target(params).widths, params)
    head.fit(features[:, 0])
    if params.head.name == "kernel":
        head.head.support = torch.randn(5, features.shape[2]).half()
        head.head.coefficients = torch.randn(5, 3)
    else:
        torch.nn.init.normal_(head.head.weight, std=0.03)
    return head.eval(), params


def test_features_are_those_of_the_backbone_on_each_view(extractor):
    features = extractor(CROPS, SHOWN)
    assert features.dtype == np.float16
    assert features.shape == (len(CROPS), 3, 1280)
    photos = views.to_device(views.apply(CROPS, SHOWN[2], 32), CPU)
    with torch.no_grad():
        expected = extractor.network(photos).numpy()
    np.testing.assert_allclose(features[:, 2], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(features[5:9], extractor(CROPS[5:9], SHOWN), rtol=2e-3, atol=1e-3)


def test_a_frozen_backbone_learns_nothing(extractor):
    assert not any(p.requires_grad for p in extractor.network.parameters())
    assert not extractor.network.training


def test_standardized_features_have_mean_0_and_deviation_1():
    features = np.random.default_rng(0).normal(3, 5, (500, 4)).astype(np.float16)
    features[:, 2] = 7
    params = model_params()
    head = StandardizedHead(4, (3,), params)
    head.fit(features)
    values = (torch.from_numpy(features).float() - head.mean) / head.std
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(0, correction=0), [1, 1, 0, 1], atol=1e-3)


def test_predictions_average_the_views(extractor):
    features = extractor(CROPS, SHOWN)
    head, params = head_for(features)
    target = make_target(params)
    probabilities, years = frozen.predict(head, target, features, batch_size=5)
    single = [frozen.predict(head, target, features[:, [v]])[0] for v in range(3)]
    np.testing.assert_allclose(probabilities, np.mean(single, 0), rtol=1e-5)
    assert years is None
    assert np.abs(single[0] - single[2]).max() > 1e-3


@pytest.mark.parametrize("kind", ["linear", KERNEL], ids=["linear", "kernel"])
def test_a_saved_model_predicts_crops_as_the_pipeline_does(extractor, tmp_path, kind):
    features = extractor(CROPS, SHOWN)
    head, params = head_for(features, head=kind)
    path = tmp_path / "model.safetensors"
    frozen.save(path, head, params, crop_params(), FeatureSource([extractor.backbone], SHOWN))
    assert path.stat().st_size < 200_000, "the backbone is not in the file"
    model = inference.load(path, CPU)
    expected, _ = frozen.predict(head, make_target(params), features)
    rows = np.arange(len(CROPS))
    # Other batches round differently before float16 does.
    np.testing.assert_allclose(model.predict(CROPS, rows, PREDICT)[0], expected, atol=5e-3)
    photos = views.to_device(views.apply(CROPS, View(), 32), CPU)
    with torch.no_grad():
        direct = model.target.probabilities(model.network(photos)).numpy()
    plain, _ = frozen.predict(head, make_target(params), features[:, :1])
    np.testing.assert_allclose(direct, plain, atol=0.02)


def test_models_share_a_backbone_and_its_features(extractor, tmp_path, monkeypatch):
    head, params = head_for(extractor(CROPS, SHOWN))
    for name in "ab":
        path = tmp_path / f"{name}.safetensors"
        frozen.save(path, head, params, crop_params(), FeatureSource([extractor.backbone], SHOWN))
    extractors: dict = {}
    models = [inference.load(tmp_path / f"{n}.safetensors", CPU, extractors) for n in "ab"]
    assert models[0].extractors == models[1].extractors == list(extractors.values())
    calls = []
    computed = Extractor.__call__
    monkeypatch.setattr(
        Extractor, "__call__", lambda *args: calls.append(len(args[1])) or computed(*args)
    )
    cache: dict = {}
    rows = np.arange(len(CROPS))
    results = [model.predict(CROPS, rows, PREDICT, cache)[0] for model in models]
    assert calls == [7, 7, 7, 3]
    assert (results[0] == results[1]).all()


def test_other_weights_than_those_of_the_training_are_refused(extractor):
    other = FrozenBackbone(NAME, "bundled", "0" * 64, 32)
    with pytest.raises(UserError, match="not those that the model's head"):
        extraction.create(other, 0.4, CPU)


def test_features_beyond_float16_are_refused(extractor, monkeypatch):
    monkeypatch.setattr(extractor, "network", lambda photos: torch.full((len(photos), 2), 1e6))
    with pytest.raises(UserError, match="float16 can't hold"):
        extractor(CROPS, SHOWN)


def write(path, array, backbone, shown):
    path.parent.mkdir(exist_ok=True)
    np.save(path, array)
    frozen.write_description(path, backbone, shown, [array.shape[2]])


def test_features_of_two_backbones_are_joined(tmp_path):
    parts = [np.random.default_rng(n).normal(size=(4, 2, 3 + n)).astype("f2") for n in (0, 1)]
    paths = [tmp_path / name / "train.npy" for name in "ab"]
    networks = [FrozenBackbone(name, "bundled", name, 32) for name in "ab"]
    for path, part, network in zip(paths, parts, networks, strict=True):
        write(path, part, network, SHOWN[:2])
    stored = frozen.read_features(paths, 4)
    assert (stored.values == np.concatenate(parts, 2)).all()
    assert stored.source == FeatureSource(networks, SHOWN[:2])
    assert stored.blocks == [3, 4]
    with pytest.raises(UserError, match="damaged"):
        frozen.read_features(paths, 5)
    write(paths[0], parts[0], networks[0], SHOWN[::2])
    with pytest.raises(UserError, match="different views"):
        frozen.read_features(paths, 4)


def test_features_of_other_weights_or_views_are_not_mixed(extractor):
    def stored(digest, shown):
        backbone = FrozenBackbone(NAME, "bundled", digest, 32)
        source = FeatureSource([backbone], shown)
        return frozen.FeatureSet(np.zeros((1, len(shown), 4)), source, [4])

    frozen.validate_same(stored("a", SHOWN), stored("a", SHOWN[:2]))
    for other in (stored("b", SHOWN), stored("a", SHOWN[1:])):
        with pytest.raises(UserError, match="differ in backbone"):
            frozen.validate_same(stored("a", SHOWN), other)


def test_a_description_is_json_that_people_can_read(tmp_path, extractor):
    frozen.write_description(tmp_path / "train.npy", extractor.backbone, SHOWN, [1280])
    stored = json.loads((tmp_path / "train.json").read_text())
    assert (stored["name"], stored["weights"], stored["image_size"]) == (NAME, "bundled", 32)
    assert [view["flip"] for view in stored["views"]] == [False, True, False]
