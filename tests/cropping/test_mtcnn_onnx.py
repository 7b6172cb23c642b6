"""MTCNN without PyTorch finds the same faces."""

import numpy as np
import pytest
import torch
from test_mtcnn import collage, portraits

from portrait18.core.onnx_runtime import OnnxNetwork
from portrait18.cropping import faces, mtcnn, mtcnn_onnx
from portrait18.cropping.faces import RETRY_THRESHOLDS, THRESHOLDS
from portrait18.deployment import onnx_export


@pytest.mark.parametrize("thresholds", [THRESHOLDS, RETRY_THRESHOLDS])
@pytest.mark.parametrize(("photos", "smallest"), [(portraits, 76.8), (collage, 20)])
def test_faces_equal_those_of_pytorch(thresholds, photos, smallest):
    batch = photos()
    expected = mtcnn.Mtcnn(torch.device("cpu"))(batch, smallest, thresholds)
    found = mtcnn_onnx.OnnxMtcnn()(batch, smallest, thresholds)
    assert sum(len(photo.boxes) for photo in found) >= 8
    for ours, theirs in zip(found, expected, strict=True):
        for values, wanted, atol in zip(ours, theirs, (0.01, 1e-5, 0.01), strict=True):
            assert values.dtype == wanted.dtype
            np.testing.assert_allclose(values, wanted, rtol=0, atol=atol)


def test_small_batches_of_candidates_change_nothing(monkeypatch):
    cascade, batch = mtcnn_onnx.OnnxMtcnn(), collage()
    together = cascade(batch, 20, THRESHOLDS)
    monkeypatch.setattr(mtcnn_onnx, "BATCH", 5)
    for one, other in zip(cascade(batch, 20, THRESHOLDS), together, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)


def test_photos_without_any_candidate():
    gray = np.full((2, 120, 90, 3), 127, np.uint8)
    expected = mtcnn.Mtcnn(torch.device("cpu"))(gray, 40, THRESHOLDS)
    for found, wanted in zip(mtcnn_onnx.OnnxMtcnn()(gray, 40, THRESHOLDS), expected, strict=True):
        assert [values.shape for values in found] == [values.shape for values in wanted]
        assert found.points.shape == (0, 5, 2)


def test_a_detector_without_a_device_needs_no_pytorch():
    detector = faces.Detector(0.2, None)
    assert isinstance(detector.mtcnn, mtcnn_onnx.OnnxMtcnn)
    assert detector(portraits()[:1], "mtcnn")[0]


def test_the_networks_of_the_package_are_those_that_the_export_writes(tmp_path):
    onnx_export.write_mtcnn(tmp_path)
    names = sorted(path.name for path in mtcnn_onnx.NETWORKS.glob("*.onnx"))
    assert names == sorted(path.name for path in tmp_path.iterdir())
    rng = np.random.default_rng(0)
    for name, side in (("pnet.onnx", 35), ("rnet.onnx", 24), ("onet.onnx", 48)):
        batch = rng.uniform(-1, 1, (3, 3, side, side)).astype(np.float32)
        written, packaged = (
            OnnxNetwork(folder / name)(batch) for folder in (tmp_path, mtcnn_onnx.NETWORKS)
        )
        assert written.keys() == packaged.keys()
        for output, values in written.items():
            np.testing.assert_allclose(packaged[output], values, atol=1e-6)
