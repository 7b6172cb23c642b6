"""SFace gives the embeddings of its ONNX file, which is read without the package onnx."""

import contextlib

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from dlib_reference import photos
from torch.nn import functional as F

from portrait18.core.errors import UserError
from portrait18.models import sface
from portrait18.models.bundled import BUNDLED
from portrait18.models.onnx_weights import read_onnx
from portrait18.models.sface import SFace


@pytest.fixture(scope="module")
def file():
    return BUNDLED["sface"].locate()


@pytest.fixture(scope="module")
def network(file):
    network = SFace()
    missing = network.load_state_dict(sface.read_state(file), strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return network.eval()


def reference(file, pixels: np.ndarray) -> np.ndarray:
    """Return ONNX Runtime's embeddings of float32 (N, 3, 112, 112), 0 to 255."""
    model = onnx.load(file)
    del model.graph.input[1:]  # names of weights, some of which were renamed by the quantization
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(None, {"data": photo[None]})[0] for photo in pixels])


@torch.inference_mode()
def test_embeddings_equal_those_of_the_onnx_file(network, file):
    pixels = photos(112).transpose(0, 3, 1, 2).astype(np.float32)
    mean, std = (torch.tensor(network.pretrained_cfg[k][0]) * 255 for k in ("mean", "std"))
    features = network((torch.from_numpy(pixels) - mean) / std)
    average, embeddings = features.split(network.feature_blocks, 1)
    expected = reference(file, pixels)
    np.testing.assert_allclose(embeddings.numpy(), expected, rtol=0, atol=1e-4)
    maps = network.forward_features((torch.from_numpy(pixels) - mean) / std)
    torch.testing.assert_close(average, F.adaptive_avg_pool2d(maps, 1).flatten(1))
    assert np.abs(expected).max() > 1


def test_tensors_equal_those_of_the_package_onnx(file):
    tensors = read_onnx(file)
    initializers = {
        t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(file).graph.initializer
    }
    assert tensors.keys() == initializers.keys()
    for name, expected in initializers.items():
        assert tensors[name].dtype == expected.dtype
        np.testing.assert_array_equal(tensors[name], expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:1000],
        lambda data: data[:-100],
        lambda data: b"\x89PNG\r\n" + data,
        lambda data: data.replace(b"conv_1_relu_gamma", b"conv_1_relu_delta"),
    ],
    ids=["start", "cut", "png", "name"],
)
def test_a_damaged_file_is_one_line_of_error(file, tmp_path, change):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError, match=r"damaged\.onnx") as caught:
        sface.read_state(path)
    assert len(caught.value.problems) == 1


def test_random_damage_never_raises_another_error(tmp_path):
    tensor = onnx.helper.make_tensor("weights", onnx.TensorProto.FLOAT, [2, 3], np.ones(6))
    graph = onnx.helper.make_graph([], "g", [], [], [tensor])
    path, rng = tmp_path / "damaged.onnx", np.random.default_rng(0)
    intact = onnx.helper.make_model(graph).SerializeToString()
    path.write_bytes(intact)
    np.testing.assert_array_equal(read_onnx(path)["weights"], np.ones((2, 3)))
    for _ in range(500):
        data = bytearray(intact)
        for position in rng.integers(0, len(data), 2):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data)
        with contextlib.suppress(UserError):  # damaged numbers cannot be noticed
            read_onnx(path)
