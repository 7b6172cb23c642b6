"""The stages of frozen backbones, on a small project whose photos are single colors."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import REPO
from tiny import colored_people, write_project

from portrait18.core import params, runs
from portrait18.core.params import PredictParams
from portrait18.core.runs import Run
from portrait18.models import inference
from portrait18.models.extraction import Extractor
from stages import features, fit

NAME = "tf_efficientnet_lite0"
CHANGES = {
    "crop.image_size": 40,
    "features": {
        "backbones": [NAME],
        "weights": "bundled",
        "image_size": 32,
        "views": [{}, {"flip": True}, {"rotate": 10}],
        "test_views": 2,
        "batch_size": 16,
    },
    "split.folds": 2,
    "matrix": {
        "models": [],
        "frozen": ["mask", "heads", "age-value"],
        "folds": [0, 1],
        "seeds": [0],
    },
    "train.mask.head": {"name": "kernel", "gamma": 1.0, "C": 1.0, "landmarks": 20},
    "train.heads.head": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
    "train.age-value.head": {"name": "mlp", "width": 8, "depth": 1},
    "train.age-value.epochs": 2,
}
CROPS, LABELS, FOLDS = colored_people(8)


@pytest.fixture
def project(tmp_path, monkeypatch, write_params):
    """A folder with crops, labels and folds; evaluation photos are the first ten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "code_fingerprint", lambda stage: "")
    write_params(tmp_path / "params.yaml", CHANGES)
    write_project(tmp_path, CROPS, LABELS, FOLDS, eval_photos=10)
    return tmp_path


@pytest.fixture
def extracted(project):
    for split in ("train", "eval"):
        features.main(NAME, split)
    return project


def stored(split):
    return np.load(runs.features(NAME, split))


def test_each_photo_has_features_in_each_view(extracted):
    assert stored("train").shape == (len(CROPS), 3, 1280)
    assert stored("train").dtype == np.float16
    assert stored("eval").shape == (10, 2, 1280)
    extractor = Extractor(NAME, "bundled", 32, 0.4, torch.device("cpu"))
    views = params.load().features.views
    np.testing.assert_allclose(
        stored("train")[16:32], extractor(CROPS[16:32], views), rtol=2e-3, atol=1e-3
    )


@pytest.mark.parametrize("damage", [False, True], ids=["intact", "damaged"])
def test_killed_features_resume_after_the_last_intact_batch(project, monkeypatch, capsys, damage):
    features.main(NAME, "train")
    expected = runs.features(NAME, "train").read_bytes()
    shutil.rmtree(runs.FEATURES)
    shutil.rmtree(runs.RESUME)
    computed, calls = Extractor.__call__, []

    def killed(*args):
        calls.append(len(args[1]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return computed(*args)

    monkeypatch.setattr(Extractor, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        features.main(NAME, "train")
    work = runs.features_work(NAME, "train").with_suffix(".bin")
    if damage:
        content = bytearray(work.read_bytes())
        content[-1] ^= 1
        work.write_bytes(content)
    capsys.readouterr()
    features.main(NAME, "train")
    assert f"resuming from photo {16 if damage else 32} of 48" in capsys.readouterr().out
    assert calls[3:] == ([16, 16] if damage else [16])
    assert runs.features(NAME, "train").read_bytes() == expected


def test_features_of_other_params_do_not_resume(extracted, write_params, capsys):
    write_params(extracted / "params.yaml", {**CHANGES, "features.image_size": 40})
    before = stored("train")
    capsys.readouterr()
    features.main(NAME, "train")
    assert "resuming" not in capsys.readouterr().out
    assert not np.array_equal(before, stored("train"))


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("mask", "fitted by L-BFGS"),
        ("age-value", "2 of 2 epochs"),
        ("heads", "fitted in closed form"),
    ],
)
def test_fit_trains_and_predicts_each_fold_as_the_models_do_on_crops(
    extracted, capsys, model, effort
):
    fit.main(model)
    assert capsys.readouterr().out.count(f", {effort} (") == 2
    for fold in (0, 1):
        run = Run(model, fold, 0)
        table = pd.read_csv(run.predictions)
        assert (table.set == "validation").sum() == (fold == FOLDS).sum()
        assert (run.live / "plots/metrics/macro_f1.tsv").exists()
        loaded = inference.load(run.weights, torch.device("cpu"))
        options = PredictParams(batch_size=16, flip=False, tta_scales=[1.0])
        probabilities, years = loaded.predict(CROPS[:10], np.arange(10), options)
        eval_rows = table[table.set == "eval"]
        own = eval_rows[loaded.target.task.columns].to_numpy()
        np.testing.assert_allclose(probabilities, own, atol=5e-3)
        assert ("years" in table) == (model == "age-value")
        if years is not None:
            np.testing.assert_allclose(years, eval_rows.years, atol=0.5)


def test_a_second_fit_writes_the_same_bytes_and_removes_other_folds(extracted, write_params):
    fit.main("mask")
    kept = [Run("mask", 0, 0).weights, Run("mask", 0, 0).predictions]
    before = [path.read_bytes() for path in kept]
    fewer = {**CHANGES["matrix"], "folds": [0]}
    write_params(extracted / "params.yaml", {**CHANGES, "matrix": fewer})
    fit.main("mask")
    assert [path.read_bytes() for path in kept] == before
    assert not Run("mask", 1, 0).weights.exists()
    assert not Run("mask", 1, 0).predictions.exists()


def test_a_head_of_one_gender_predicts_all_validation_and_evaluation_photos(
    extracted, write_params
):
    write_params(
        extracted / "params.yaml",
        {
            **CHANGES,
            "matrix.frozen": ["mask", "gender", "age-class", "age-bins"],
            "train.age-class.people": "female",
            "train.age-bins.people": "male",
        },
    )
    fit.main("age-class")
    table = pd.read_csv(Run("age-class", 0, 0).predictions)
    assert table.set.value_counts().to_dict() == {"validation": (FOLDS == 0).sum(), "eval": 10}


def test_features_are_copied_as_numpy_writes_them(tmp_path):
    values = np.arange(24, dtype=np.float16).reshape(4, 2, 3)
    (tmp_path / "features.bin").write_bytes(values.tobytes())
    features._write(tmp_path / "train.npy", tmp_path / "features.bin", values.shape)
    np.save(tmp_path / "expected.npy", values)
    expected = (tmp_path / "expected.npy").read_bytes()
    assert (tmp_path / "train.npy").read_bytes() == expected


_FILL = """
import sys
from pathlib import Path
from stages import features
Path("features.bin").write_bytes(bytes(2**20))
features._write(Path("disk/train.npy"), Path("features.bin"), (2**10, 1, 2**9))
"""


def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    (tmp_path / "disk").mkdir()
    mount = "mount -t tmpfs -o size=256k tmpfs disk"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*command, mount], cwd=tmp_path).returncode:
        pytest.skip("this machine allows no mount")
    done = subprocess.run(
        [*command, f'{mount}; exec {sys.executable} -c "$FILL"'],
        cwd=tmp_path,
        env={**os.environ, "FILL": _FILL, "PYTHONPATH": str(REPO)},
        text=True,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 1  # not the signal SIGBUS
    assert "No space left on device: 'disk/train.npy'" in done.stderr
