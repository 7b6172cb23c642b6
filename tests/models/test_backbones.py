import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from backbone_cases import PHOTOS, backbone, filled, named, small
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from tiny import crop_params, model_params

from portrait18.core.errors import UserError
from portrait18.models import backbones, inference

LITE = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite_reference():
    return filled(LITE)


@pytest.fixture(scope="module")
def lite():
    return backbones.create(model_params(backbone=LITE, weights="bundled"), (3,)).eval()


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "image", "class_id"),
    [
        (LITE, "flower.jpg", 985),
        (LITE, "china.jpg", 698),
        ("tf_efficientnet_lite1", "china.jpg", 698),
        ("tf_efficientnet_lite2", "china.jpg", 698),
    ],
    ids=["daisy", "palace", "palace, Lite1", "palace, Lite2"],
)
def test_bundled_weights_classify_a_photo_correctly(name, image, class_id):
    photo = load_sample_image(image)
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    photo = cv2.resize(
        photo[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    network = small(backbone=name, weights="bundled")
    features = network.features[0](torch.from_numpy(photo).permute(2, 0, 1)[None])
    assert filled(name).classifier(features).argmax() == class_id


@torch.inference_mode()
def test_bundled_features_equal_the_packages_own(lite, lite_reference):
    normal = (PHOTOS.float() / 255 - 0.5) / 0.5
    expected = lite_reference.forward_features(normal)
    torch.testing.assert_close(backbone(lite).forward_features(normal), expected)
    outputs = expected.mean((2, 3)) @ lite.head.weight.T + lite.head.bias
    torch.testing.assert_close(lite(PHOTOS), outputs, rtol=1e-4, atol=1e-4)


def test_bytes_and_floats_give_the_same_outputs():
    network = small()
    assert (network(PHOTOS) == network(PHOTOS.float())).all()


@pytest.mark.parametrize("weights", ["none", "bundled"])
def test_an_untrained_network_predicts_near_chance(weights):
    torch.manual_seed(0)
    network = small(18, backbone=LITE, weights=weights).train()
    head = network.head
    assert (head.bias == 0).all()
    assert 0.008 < head.weight.std() < 0.012
    loss = torch.nn.functional.cross_entropy(network(PHOTOS), torch.arange(4))
    assert loss.item() == pytest.approx(np.log(18), abs=0.3)


def test_only_the_head_differs_between_seeds_with_bundled_weights():
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(small(backbone=LITE, weights="bundled").state_dict())
    assert {k for k, v in networks[0].items() if (v != networks[1][k]).any()} == set()
    assert {k for k, v in networks[0].items() if (v != networks[2][k]).any()} == {"head.weight"}


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"],
)
def test_other_backbones_work_at_the_configured_image_size(name):
    network = small(5, backbone=name, image_size=64)
    assert network(PHOTOS).shape == (4, 5)
    assert network(PHOTOS).dtype == torch.float32


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("tf_efficientnet_lite9", "tf_efficientnet_lite[0-4]"),
        ("resnet19", "resnet18"),
        ("resnt18", "resnet18"),
        ("mobilnetv3_small_050", "mobilenetv3_small_050"),
    ],
)
def test_an_unknown_backbone_is_rejected_with_similar_names(typo, near):
    with pytest.raises(
        UserError, match=f"backbone = '{typo}' is unknown to timm; similar names: .*{near}"
    ):
        small(backbone=typo)


def test_an_unknown_tag_is_rejected_with_the_available_ones():
    with pytest.raises(
        UserError,
        match=r"'convnext_tiny.fb_in22': timm has no weights tagged 'fb_in22'; .*fb_in22k",
    ):
        small(backbone="convnext_tiny.fb_in22")


def test_drop_path_is_rejected_for_backbones_without_it():
    with pytest.raises(UserError, match="drop_path"):
        small(backbone="ghostnet_050", drop_path=0.1)


@torch.inference_mode()
def test_two_backbones_share_one_head(tmp_path):
    pair = small(5, backbone="test_efficientnet+test_resnet")
    single = [pair.features[0](PHOTOS), pair.features[1](PHOTOS)]
    torch.testing.assert_close(
        pair(PHOTOS), torch.cat(single, 1) @ pair.head.weight.T + pair.head.bias
    )
    path = tmp_path / "pair.safetensors"
    inference.save(path, pair, model_params(), crop_params())
    again = small(5, backbone="test_efficientnet+test_resnet", weights=named(path))
    assert (again.features[1](PHOTOS) == single[1]).all()
    assert (again.features[0](PHOTOS) == single[0]).all()


@torch.inference_mode()
def test_each_of_two_backbones_has_its_own_weights(lite):
    pair = small(backbone=f"{LITE}+test_resnet", weights="bundled+none")
    torch.testing.assert_close(pair.features[0](PHOTOS), lite.features[0](PHOTOS))


def problems_of(**changes):
    """Return the lines that `validate` raises, after checking that `create` agrees."""
    params = model_params(**changes)
    try:
        backbones.validate(params)
    except UserError as error:
        with pytest.raises(UserError):
            backbones.create(params, (3,))
        return error.problems
    backbones.create(params, (3,))
    return []


def test_validate_finds_everything_that_create_rejects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(backbone(small()).state_dict(), "good.safetensors")
    save_file(backbone(small(backbone="test_resnet")).state_dict(), "other.safetensors")
    Path("cut.safetensors").write_bytes(Path("good.safetensors").read_bytes()[:1000])
    torch.save({}, "pickle.safetensors")
    assert (
        problems_of()
        == problems_of(weights=named("good.safetensors"))
        == problems_of(backbone=LITE, weights="bundled")
        == []
    )
    for changes, message in (
        ({"weights": named("other.safetensors")}, "do not fit the backbone"),
        ({"weights": named("cut.safetensors")}, "are damaged"),
        ({"weights": named("pickle.safetensors")}, "contains a pickle"),
        ({"weights": "nowhere.safetensors@00000000"}, "no such file"),
        ({"weights": "good.safetensors@00000000"}, "params.yaml says 00000000"),
        ({"backbone": "ghostnet_050", "drop_path": 0.1}, "does not support drop_path"),
    ):
        (line,) = problems_of(**changes)
        assert message in line
    both = {
        "backbone": "test_efficientnet+resnet19",
        "weights": "nowhere.safetensors@00000000+none",
    }
    assert len(problems_of(**both)) == 2


@pytest.mark.parametrize("name", ["inception_v3", "inception_v4"])
def test_a_backbone_too_deep_for_the_image_size_is_rejected_with_a_size_that_works(name):
    for check in (
        lambda size: backbones.validate(model_params(backbone=name, image_size=size)),
        lambda size: backbones.create_features(name, "none", size, 0.4),
    ):
        with pytest.raises(UserError) as caught:
            check(64)
        (problem,) = caught.value.problems
        assert problem.startswith(f"params.yaml: image_size = 64: backbone {name} does not work")
        (size,) = re.findall(r"set image_size: (\d+)", problem)
        check(int(size))


def test_missing_hub_weights_are_found_without_a_download():
    with pytest.raises(UserError, match="weights = hub: timm has no weights for 'botnet50ts_256'"):
        backbones.validate(model_params(backbone="botnet50ts_256", weights="hub"))
    backbones.validate(model_params(backbone="resnet18", weights="hub"))
