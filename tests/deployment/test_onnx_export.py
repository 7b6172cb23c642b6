import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bundling import noise
from synthetic import REPO
from tiny import crop_params, model_params
from torch import nn

from portrait18.deployment import onnx_export
from portrait18.models import backbones, inference
from portrait18.models.inference import PredictOptions
from portrait18.models.targets import make_target

#: Every target with the params that it needs.
TARGETS = {
    "classes": {},
    "heads": {"task": "all", "target": "heads"},
    "value": {"task": "age", "target": "value", "loss": "gaussian"},
    "distribution": {"task": "age", "target": "distribution", "loss": "soft-cross-entropy"},
    "rank": {"task": "age", "target": "rank", "loss": "cumulative"},
}
SIZE = 32


class Small(nn.Module):
    """A stand-in for a network: quick to export, with outputs that differ a lot."""

    def __init__(self, outputs: int):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv2d(3, outputs, 9, stride=8)
        self.head = nn.Identity()  # of no kind that averages views

    def forward(self, photos):
        return self.layer(photos.float() / 64 - 2).mean((2, 3))


def small(**changes) -> inference.Model:
    params = model_params(**changes)
    target = make_target(params)
    return inference.Model(Small(sum(target.widths)).eval(), target, params, crop_params())


def real(**changes) -> inference.Model:
    params = model_params(**changes)
    target = make_target(params)
    torch.manual_seed(1)
    network = backbones.create(params, target.widths, margin=0.4)
    with torch.no_grad():
        network.head.weight.mul_(100)
    return inference.Model(network.eval(), target, params, crop_params())


def run_onnx(path, crops) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"crops": crops})


def expected(model, crops, flip):
    rows = np.arange(len(crops))
    found = inference.predict(
        model.network, model.target, crops, rows, PredictOptions(SIZE, 8, flip)
    )
    return [part for part in found if part is not None]


@pytest.mark.parametrize("name", TARGETS)
def test_onnx_predicts_as_torch_for_any_number_of_crops(tmp_path, name):
    model, path = small(**TARGETS[name]), tmp_path / "small.onnx"
    onnx_export.write(model, True, path)
    for count in (1, 2, 5):
        crops = noise(count, 40)[:, :SIZE, :SIZE]
        pairs = list(zip(run_onnx(path, crops), expected(model, crops, True), strict=True))
        assert len(pairs) == (2 if model.target.years else 1)
        for found, wanted in pairs:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01, "the crops must differ"


def test_a_real_network_without_flip(tmp_path):
    model, path = real(), tmp_path / "real.onnx"
    onnx_export.write(model, False, path)
    crops = noise(3, 40)[:, :SIZE, :SIZE]
    [found], [wanted] = run_onnx(path, crops), expected(model, crops, False)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert np.abs(wanted - expected(model, crops, True)[0]).max() > 1e-4, "flip must matter"
    onnx.checker.check_model(str(path), full_check=True)
    proto = onnx.load(path)
    assert [value.name for value in proto.graph.input] == ["crops"]
    assert [value.name for value in proto.graph.output] == ["probabilities"]
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert_no_paths(path)


def test_a_backbone_that_cuts_its_region_out_of_the_crop(tmp_path):
    model, path = real(backbone="dlib_resnet", weights="bundled"), tmp_path / "dlib.onnx"
    onnx_export.write(model, False, path)
    crops = noise(3, 40)[:, :SIZE, :SIZE]
    [found], [wanted] = run_onnx(path, crops), expected(model, crops, False)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert np.ptp(wanted, axis=0).max() > 0.01, "the crops must differ"


def assert_no_paths(path):
    written = path.read_bytes()
    for part in (str(REPO), sys.prefix, "site-packages", ".py"):
        assert part.encode() not in written, part


def test_equal_networks_have_equal_bytes_in_every_process(tmp_path):
    onnx_export.write(small(), True, tmp_path / "here.onnx")
    code = (
        f"import sys; sys.path[:0] = {[str(REPO / p) for p in ('', 'tests', 'tests/deployment')]}\n"
        + (
            "from test_onnx_export import onnx_export, small\n"
            "onnx_export.write(small(), True, 'there.onnx')"
        )
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "here.onnx").read_bytes() == (tmp_path / "there.onnx").read_bytes()
    assert_no_paths(tmp_path / "here.onnx")
