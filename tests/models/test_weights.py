"""Files of weights for backbones."""

import pytest
import torch
from backbone_cases import PHOTOS, backbone, named, small
from planted import Planted
from safetensors.torch import save_file
from tiny import crop_params, model_params

from portrait18.core.errors import UserError
from portrait18.models import inference, weights


@pytest.mark.parametrize("written_by", ["timm", "this project"])
def test_a_weights_file_fills_everything_except_the_head(tmp_path, written_by):
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


def test_weights_of_another_backbone_are_rejected(tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file(backbone(small(backbone="test_resnet")).state_dict(), path)
    with pytest.raises(
        UserError,
        match=r"resnet\.safetensors@\w+ do not fit .* have another shape, first conv_stem",
    ):
        small(weights=named(path))


def test_a_file_with_another_digest_is_rejected_with_the_right_one(tmp_path):
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
def test_pickles_are_rejected_unopened(tmp_path, name):
    planted = Planted(tmp_path / "it ran")
    torch.save(planted, tmp_path / name)
    with pytest.raises(UserError, match=r"only \.safetensors files are read"):
        weights.read_tensors(tmp_path / name)
    assert not planted.path.exists()


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_truncated_weights_file_is_one_line_of_error(tmp_path, kept):
    full, cut = tmp_path / "full.safetensors", tmp_path / "cut.safetensors"
    save_file(backbone(small()).state_dict(), full)
    cut.write_bytes(full.read_bytes()[:kept])
    for read in (lambda p: small(weights=named(p)), weights.read_metadata):
        with pytest.raises(UserError, match=r"cut\.safetensors (are|is) damaged") as caught:
            read(cut)
        assert len(caught.value.problems) == 1
        assert "\n" not in str(caught.value)


def test_missing_weights_are_named():
    with pytest.raises(
        UserError, match=r"nowhere\.safetensors': no such file; use bundled, hub, none or a path"
    ):
        small(weights="nowhere.safetensors@00000000")
