import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from bundling import RUNS, write_weights
from tiny import crop_params

from portrait18.core.errors import UserError
from portrait18.core.files import file_digest
from portrait18.deployment import packing
from portrait18.models import inference


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_the_trained_networks_and_describes_them(make_bundle):
    folder = make_bundle()
    names = [f"{run.name}-{run.fold}-{run.seed}.safetensors" for run in RUNS]
    assert sorted(contents(folder)) == sorted([*names, "bundle.json"])
    manifest = json.loads((folder / "bundle.json").read_text())
    for run, name, network in zip(RUNS, names, manifest["networks"], strict=True):
        assert (folder / name).read_bytes() == run.weights.read_bytes()
        assert network == {
            "model": run.name,
            "file": name,
            "sha256": file_digest(run.weights),
            "onnx": None,
            "task": {"years": "age"}.get(run.name, run.name),
            "image_size": 32,
        }
    assert manifest["classes"]["mask"] == ["worn", "incorrect", "none"]
    assert len(manifest["classes"]["all"]) == 18
    assert manifest["predict"] == {"batch_size": 4, "flip": True, "tta_scales": [1.0, 0.8]}
    assert manifest["crop"]["image_size"] == 40
    assert manifest["median_box"] == [0.2, 0.1, 0.7, 0.6]


def test_the_manifest_names_the_inputs(make_bundle):
    manifest = json.loads((make_bundle() / "bundle.json").read_text())
    assert manifest["metrics"] == {"macro_f1": 0.5}
    assert manifest["params"]["group"] == {"by": "none"}
    assert manifest["params"]["train"]["years"]["target"] == {"name": "value"}
    assert "num_workers" not in manifest["params"]["train"]["years"]
    assert manifest["inputs"]["labels.csv"] == hashlib.sha256(b"photo\n").hexdigest()
    before = manifest["inputs"]["params"]
    assert json.loads((make_bundle() / "bundle.json").read_text())["inputs"]["params"] == before
    other = json.loads(
        (make_bundle(crop=crop_params(image_size=40, margin=0.5)) / "bundle.json").read_text()
    )
    assert other["inputs"]["params"] != before


def test_equal_networks_give_equal_bytes_and_old_files_are_removed(make_bundle):
    folder = make_bundle()
    before = contents(folder)
    (folder / "gone-0-0.safetensors").write_bytes(b"of an old model")
    assert contents(make_bundle()) == before


def test_onnx_files_are_written_if_asked_for(make_bundle, monkeypatch):
    written = []
    monkeypatch.setattr(
        packing.onnx_export,
        "write",
        lambda model, flip, path: written.append((model.params.task, flip, path.name)),
    )
    folder = make_bundle(onnx=True, flip=False, runs=RUNS[2:4])
    assert written == [("gender", False, "gender-0-0.onnx"), ("age", False, "years-0-0.onnx")]
    manifest = json.loads((folder / "bundle.json").read_text())
    assert [network["onnx"] for network in manifest["networks"]] == [
        "gender-0-0.onnx",
        "years-0-0.onnx",
    ]


def test_networks_trained_on_different_crops_are_refused(make_bundle, monkeypatch):
    load = inference.load

    def other_for_gender(path, device, extractors):
        if "gender" in str(path):
            write_weights(RUNS[2], crop_params(image_size=40, margin=0.1), task="gender")
        return load(path, device, extractors)

    monkeypatch.setattr(packing.inference, "load", other_for_gender)
    with pytest.raises(UserError, match="models mask 0-0 and gender 0-0 were trained on crops"):
        make_bundle()


def test_the_median_box_is_a_fraction_of_the_photo_over_the_faces_found():
    table = pd.DataFrame(
        {
            "x0": [10.0, 40.0, 0.0, 30.0],
            "y0": [20.0, 20.0, 0.0, 40.0],
            "x1": [50.0, 120.0, 1.0, 70.0],
            "y1": [80.0, 60.0, 1.0, 90.0],
            "found": ["mtcnn", "retry", "median", "yunet"],
        }
    )
    sizes = pd.DataFrame({"width": [100, 200, 100, 100], "height": [200, 100, 100, 100]})
    assert packing.median_box(table, sizes) == (0.2, 0.2, 0.6, 0.6)
    assert packing.median_box(table[2:3], sizes[2:3]) == packing.DEFAULT_BOX
    assert np.shape(packing.median_box(table, sizes)) == (4,)
