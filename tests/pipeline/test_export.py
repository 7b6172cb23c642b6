"""The bundle predicts what the pipeline predicts."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import portrait18
from portrait18.cropping import faces
from portrait18.dataset.classes import TASKS
from portrait18.deployment.bundle import read_manifest
from portrait18.models import inference, views
from portrait18.models.weights import read_metadata, read_tensors

pytestmark = pytest.mark.pipeline
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces_by_photo(finished):
    """Return the faces that `portrait18 predict` finds, by evaluation photo."""
    command = (sys.executable, "-m", "portrait18", "predict", "data/demo/eval/images", "--json")
    description, *output = finished.run(*command).splitlines()
    assert description.startswith("models/bundle: Trained on ")
    lines = [json.loads(line) for line in output]
    return {line["photo"].rsplit("/", 1)[1]: line["faces"] for line in lines}


def choose_portrait(found: list[dict], width: int, height: int) -> dict:
    """The face of a portrait that the pipeline takes."""
    candidates = [faces.Face(*face["box"], 0.0, face["score"]) for face in found]
    return found[candidates.index(faces.choose(candidates, width, height))]


def test_the_command_line_predicts_each_portrait_like_the_submission(finished, faces_by_photo):
    root = finished.root
    crops = pd.read_csv(root / "data/crops/eval.csv").set_index("photo")
    sizes = pd.read_csv(root / "data/photos/eval.csv").set_index("photo")
    submission = pd.read_csv(root / "data/submission.csv").set_index("ImageID").ans
    blended = pd.read_csv(root / "data/ensemble/eval.csv").set_index("photo")
    assert sorted(faces_by_photo) == sorted(submission.index)
    portraits = crops.index[crops.found == "mtcnn"]
    assert len(portraits) >= 5
    for photo in portraits:
        face = choose_portrait(faces_by_photo[photo], sizes.width[photo], sizes.height[photo])
        assert face["box"] == pytest.approx(
            crops.loc[photo, ["x0", "y0", "x1", "y1"]].tolist(), abs=0.05
        )
        for task in TASKS.values():
            probabilities = list(face[task.name]["probabilities"].values())
            np.testing.assert_allclose(
                probabilities, blended.loc[photo, task.columns].tolist(), atol=2e-3
            )
        assert face["years"] == pytest.approx(blended.years[photo], abs=0.1)
        assert face["class"] == submission[photo]


def test_the_bundle_tells_the_pipelines_crops_as_the_pipeline_does_to_the_last_digits(finished):
    root = finished.root
    answers = portrait18.load(root / "models/bundle", CPU).classify(
        np.load(root / "data/crops/eval.npy")
    )
    blended = pd.read_csv(root / "data/ensemble/eval.csv")
    assert (answers.class_ids == blended["class"]).all()
    for name, task in TASKS.items():
        np.testing.assert_allclose(
            getattr(answers, name), blended[task.columns], rtol=1e-4, atol=1e-6
        )
    np.testing.assert_allclose(answers.years, blended.years, rtol=1e-5)


def test_the_bundle_goes_wherever_it_is_copied_to(finished, tmp_path):
    shutil.copytree(finished.root / "models/bundle", tmp_path / "moved")
    loaded = portrait18.load(tmp_path / "moved", CPU)
    assert loaded.manifest.metrics == json.loads(
        (finished.root / "reports/metrics.json").read_text()
    )
    assert {network.model for network in loaded.manifest.networks} == {
        "mask",
        "gender",
        "age-class",
        "age-value",
    }
    assert finished.run("dvc", "ls", ".", "models", "--dvc-only").split() == ["bundle", "trained"]


def test_the_networks_that_the_stage_writes_as_onnx_say_the_same(project):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install -e '.[onnx]'")
    import onnxruntime

    for weights in (project.root / "models/trained").glob("*/*.safetensors"):
        tensors, metadata = read_tensors(weights), read_metadata(weights)
        tensors["head.weight"] *= 300  # trained so briefly, they say nearly the same of every crop
        weights.unlink()  # a link into DVC's cache
        save_file(tensors, weights, metadata)
    project.set_params({"export": {"onnx": True}})
    assert project.repro("-s", "export") == ["export"]
    folder = project.root / "models/bundle"
    networks = read_manifest(folder).networks
    assert {network.model for network in networks} == {"mask", "gender", "age-class", "age-value"}
    for network in networks:
        model = inference.load(folder / network.file, CPU)
        size = network.image_size
        crops = views.resize(np.load(project.root / "data/crops/eval.npy"), size)
        options = inference.PredictOptions(size, 16, True)
        rows = np.arange(len(crops))
        wanted = inference.predict(model.network, model.target, crops, rows, options)
        session = onnxruntime.InferenceSession(
            folder / network.onnx, providers=["CPUExecutionProvider"]
        )
        found = session.run(None, {"crops": crops})
        for one, other in zip(found, [part for part in wanted if part is not None], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=network.onnx)
            assert np.ptp(other, axis=0).max() > 0.01, "different crops must give different outputs"
