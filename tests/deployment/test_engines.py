"""PyTorch and ONNX Runtime predict the same, and the latter without PyTorch."""

import os
import subprocess
import sys

import numpy as np
import pytest
from bundling import CPU, noise
from synthetic import REPO
from tiny import demo_photo

import portrait18
from portrait18 import cli
from portrait18.core import extras
from portrait18.core.errors import UserError
from portrait18.dataset.classes import TASKS
from portrait18.deployment import bundle

#: Largest difference of a probability between the engines, as docs/serving.md says.
TOLERANCE = 2e-3
PHOTO = str(min((REPO / "data/demo/eval/images").glob("*.jpg")))
#: Importing these fails, as where `pip install .` installed this package.
ABSENT = sorted({name for extra in extras.EXTRAS for name in extras.EXTRAS[extra]})
WITHOUT = f"""
import importlib.util, sys
absent = {ABSENT}
sys.modules.update(dict.fromkeys(absent))
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in absent else find(name, *rest)
from portrait18 import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def run_without_extras(*arguments: str, folder) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )


def differences(one, other) -> list[float]:
    """Return the largest difference of the probabilities of each task."""
    return [np.abs(getattr(one, task) - getattr(other, task)).max() for task in TASKS]


def test_the_starter_predicts_the_same_on_both_engines():
    photos = [demo_photo(state) for state in ("normal", "mask1", "incorrect_mask")]
    ours = portrait18.load(bundle.STARTER, engine="onnx").predict(photos)
    theirs = portrait18.load(bundle.STARTER, CPU, engine="torch").predict(photos)
    assert [len(photo.faces) for photo in ours] == [1, 1, 1]
    for photo, expected in zip(ours, theirs, strict=True):
        for face, wanted in zip(photo.faces, expected.faces, strict=True):
            assert (face.class_id, face.found) == (wanted.class_id, wanted.found)
            assert face.box == pytest.approx(wanted.box, abs=0.02)
            assert face.probabilities == pytest.approx(wanted.probabilities, abs=TOLERANCE)


def test_exported_networks_predict_the_same_on_both_engines(make_bundle):
    folder, crops = make_bundle(onnx=True), noise(5)
    ours = portrait18.load(folder, engine="onnx").classify(crops)
    theirs = portrait18.load(folder, CPU, engine="torch").classify(crops)
    assert max(differences(ours, theirs)) < 1e-4
    assert np.ptp(theirs.mask, axis=0).max() > 0.01, "the crops must differ"
    np.testing.assert_allclose(ours.years, theirs.years, atol=0.05)
    assert (ours.class_ids == theirs.class_ids).all()


def test_networks_without_an_export_need_pytorch(make_bundle):
    folder = make_bundle()
    with pytest.raises(UserError) as caught:
        portrait18.load(folder, engine="onnx")
    (line,) = caught.value.problems
    assert line.startswith(
        "bundle/mask-0-0.safetensors runs without PyTorch only if it is exported"
    )
    assert "pip install 'portrait18[torch]'" in line
    assert "export.onnx: true" in line


def test_predict_needs_the_core_dependencies_only(tmp_path):
    done = run_without_extras("predict", PHOTO, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "face 1 of 1  mask " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["serve", "--port", "0"],
            "portrait18 serve needs fastapi, prometheus_client, pydantic_settings,"
            " python_multipart, uvicorn; run pip install 'portrait18[serve]'",
        ),
        (
            ["predict", PHOTO, "--engine", "torch"],
            "engine torch needs facenet_pytorch, timm, torch, torchvision; run pip install"
            " 'portrait18[torch]'",
        ),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command(arguments, line, tmp_path):
    done = run_without_extras(*arguments, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"error: {line}\n")


def test_help_works_without_extras(tmp_path):
    done = run_without_extras("--help", folder=tmp_path)
    assert "serve" in done.stdout
    assert "needs more packages" in done.stdout


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"engine": "tensorflow"}, "engine 'tensorflow' is none of torch, onnx"),
        ({"engine": "onnx", "device": "cuda"}, "engine onnx runs on the CPU, not on cuda"),
    ],
)
def test_engines_that_cannot_run_are_reported(kwargs, message):
    with pytest.raises(UserError, match=message):
        portrait18.load(bundle.STARTER, **kwargs)


def test_the_command_line_chooses_an_engine(tmp_path, capsys):
    assert cli.main(["predict", PHOTO, "--engine", "onnx"]) == 0
    assert "face 1 of 1" in capsys.readouterr().out
