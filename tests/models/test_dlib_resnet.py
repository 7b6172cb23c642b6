"""dlib's network gives dlib's embeddings, and its file is read as data."""

import json

import numpy as np
import pytest
import torch
from dlib_reference import PATH, photos
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.models import dlib_resnet, dlib_weights
from portrait18.models.bundled import BUNDLED
from portrait18.models.dlib_resnet import DlibResNet
from portrait18.models.dlib_weights import read_dlib


@pytest.fixture(scope="module")
def file():
    return BUNDLED["dlib_resnet"].locate()


@pytest.fixture(scope="module")
def network(file):
    network = DlibResNet()
    network.load_state_dict(dlib_resnet.read_state(file))
    return network.eval()


def normalized(images: np.ndarray) -> torch.Tensor:
    mean = np.array([122.782, 117.001, 104.298])
    return torch.tensor((images - mean) / 256, dtype=torch.float32).permute(0, 3, 1, 2)


@torch.inference_mode()
def test_embeddings_equal_those_of_dlib(network):
    expected = torch.tensor(list(json.loads(PATH.read_text()).values()))
    found = network(normalized(photos(150)))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    assert torch.cdist(found, found)[0, 1] > 0.4, "the people must differ"


@torch.inference_mode()
def test_the_config_normalizes_as_dlib(network):
    config = network.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) * 255 for key in ("mean", "std"))
    images = photos(150)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    torch.testing.assert_close((pixels - mean) / std, normalized(images), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_last_map_has_the_size_of_dlibs(network):
    features = network.forward_features(torch.zeros(1, 3, 150, 150))
    assert features.shape == (1, 256, 2, 2)
    torch.testing.assert_close(
        network.forward_head(features), F.linear(features.mean((2, 3)), network.embedding.weight)
    )


def test_a_random_network_passes_signals_and_gradients():
    torch.manual_seed(0)
    network = DlibResNet()
    outputs = network(torch.randn(4, 3, 150, 150))
    assert 0.01 < outputs.std() < 10
    outputs.square().sum().backward()
    assert network.stem.weight.grad.abs().sum() > 0


def test_the_file_has_the_layers_of_the_network(file):
    layers = read_dlib(file)
    assert [layer.kind for layer in layers].count("con_4") == 29
    assert layers[0].integers == (32, 7, 7, 2, 2, 0, 0)
    assert layers[-1].kind == "fc_2"


def damaged(file, change, tmp_path):
    path = tmp_path / "damaged.dat"
    path.write_bytes(change(file.read_bytes()))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1000],
        lambda data: data[:-1],
        lambda data: data + b"\x01",
        lambda data: b"\x89PNG\r\n" + data,
        lambda data: data.replace(b"con_4", b"con_9", 1),
        lambda data: data.replace(b"\x01\x02\x02\x80\x12", b"\x01\x02\x08" + b"\xff" * 8, 1),
        lambda data: data[:352] + b"\xff" * 8 + data[352:],
    ],
    ids=["empty", "start", "cut", "longer", "png", "layer", "size", "shifted"],
)
def test_a_damaged_file_is_one_line_of_error(file, tmp_path, change):
    with pytest.raises(UserError, match=r"damaged\.dat is no network of dlib") as caught:
        dlib_resnet.read_state(damaged(file, change, tmp_path))
    assert len(caught.value.problems) == 1


def test_random_damage_never_raises_another_error(file, tmp_path):
    rng = np.random.default_rng(0)
    head = file.read_bytes()[:20_000]  # the head, the first convolution and its affine layer
    for _ in range(200):
        data = bytearray(head)
        for position in rng.integers(0, len(data), 4):
            data[position] = rng.integers(0, 256)
        with pytest.raises(UserError):
            read_dlib(damaged(file, lambda _, data=data: bytes(data), tmp_path))


def test_another_network_is_rejected(file, monkeypatch):
    layers = read_dlib(file)
    monkeypatch.setattr(dlib_weights, "read_dlib", lambda path: layers[:-1])
    with pytest.raises(UserError, match="layers of another network"):
        dlib_resnet.read_state(file)
