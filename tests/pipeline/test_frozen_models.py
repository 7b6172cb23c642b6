"""Frozen backbones in the real pipeline: features, heads, bundle."""

import shutil

import numpy as np
import pandas as pd
import pytest
from small_params import FROZEN

import portrait18
from portrait18.dataset.classes import TASKS

pytestmark = pytest.mark.pipeline
STAGES = [
    "features@tf_efficientnet_lite0-train",
    "features@tf_efficientnet_lite0-eval",
    "fit@gender",
    "fit@age-class",
]


def test_frozen_models_replace_networks_and_give_the_same_bytes_again(project):
    project.set_params(FROZEN)
    ran = project.repro()
    assert [stage for stage in ran if stage.startswith(("train", "features", "fit"))] == STAGES
    assert "predict@mask" not in ran, "it is recorded"
    lock = (project.root / "dvc.lock").read_bytes()
    eval_photos = pd.read_csv(project.root / "data/ensemble/eval.csv")
    crops = np.load(project.root / "data/crops/eval.npy")
    predicted = portrait18.load(project.root / "models/bundle", "cpu").classify(crops)
    for name, task in TASKS.items():
        own = eval_photos[task.columns].to_numpy()
        np.testing.assert_allclose(getattr(predicted, name), own, atol=5e-3)

    project.run("dvc", "repro", "--force", "-s", *STAGES)
    assert (project.root / "dvc.lock").read_bytes() == lock
    project.set_params({"train": {"gender": {"lr": 0.002}}})
    ran = project.repro("ensemble")
    assert ran[0] == "fit@gender"
    assert set(ran) <= {"fit@gender", "ensemble"}


def test_features_of_removed_backbones_are_removed(project):
    project.set_params(FROZEN)
    project.repro("fit@age-class")
    stale = project.root / "data/features/another"
    shutil.copytree(project.root / "data/features/tf_efficientnet_lite0", stale)
    project.run("python", "-m", "stages", "prune")
    assert not stale.exists()
