"""Bundles of small untrained networks; the fixtures are named in conftest.py."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import crop_params, model_params

import portrait18
from portrait18.core.params import ExportParams, PredictParams
from portrait18.core.runs import Run
from portrait18.dataset.classes import TASKS
from portrait18.deployment import packing
from portrait18.deployment.bundle import TrainingSet
from portrait18.deployment.predictor import Predictor
from portrait18.evaluation import ensemble_config
from portrait18.evaluation.ensemble_config import EnsembleConfig, TaskEnsemble
from portrait18.models import backbones, inference
from portrait18.models.targets import make_target

CPU = torch.device("cpu")
BOX = (0.2, 0.1, 0.7, 0.6)
#: A model of every kind; mask has two members.
MODELS = {
    "mask": {"task": "mask"},
    "gender": {"task": "gender"},
    "years": {"task": "age", "target": "value", "loss": "gaussian"},
    "all": {"task": "all"},
}
RUNS = [
    Run("mask", 0, 0),
    Run("mask", 1, 0),
    Run("gender", 0, 0),
    Run("years", 0, 0),
    Run("all", 0, 0),
]
VOTERS = {"mask": ["mask", "all"], "gender": ["gender", "all"], "age": ["years", "all"]}


def soft(**changes) -> EnsembleConfig:
    """Equal weights, no offsets."""
    tasks = {
        n: TaskEnsemble("soft", np.array([0.5, 0.5]), np.zeros(len(t.classes)))
        for n, t in TASKS.items()
    }
    return EnsembleConfig(tasks)._replace(**changes)


def write_weights(run: Run, crop, **changes) -> None:
    """A random network, confident enough that its predictions for two crops differ."""
    torch.manual_seed(run.fold + sum(run.name.encode()))
    params = model_params(**changes)
    network = backbones.create(params, make_target(params).widths)
    with torch.no_grad():
        network.head.weight.mul_(100)
        if params.target.name == "value":
            network.head.weight[1] = (
                0  # the deviation stays one unit, so that no age group is certain
            )
    inference.save(run.weights, network, params, crop)


@pytest.fixture
def make_bundle(tmp_path, monkeypatch):
    """make_bundle(ensemble=, voters=, crop=, onnx=, runs=, **predict) writes and names a bundle."""
    monkeypatch.chdir(tmp_path)

    def make(ensemble=None, voters=VOTERS, crop=None, onnx=False, runs=RUNS, **predict):
        crop = crop or crop_params(image_size=40)
        for run in runs:
            write_weights(run, crop, **MODELS[run.model])
        sources = [Path("labels.csv")]
        sources[0].write_text("photo\n")
        views = {"batch_size": 4, "flip": True, "tta_scales": [1.0, 0.8], **predict}
        inputs = packing.BundleInputs(
            runs=runs,
            ensemble=json.loads(json.dumps(ensemble_config.to_json(ensemble or soft(), voters))),
            median_box=BOX,
            training_set=TrainingSet(about="Drawn people", people=2, photos=14),
            predict=PredictParams(**views),
            export=ExportParams(onnx=onnx),
            params={"group": {"by": "none"}},
            metrics={"macro_f1": 0.5},
            sources=sources,
        )
        packing.pack(Path("bundle"), inputs)
        return Path("bundle")

    return make


@pytest.fixture
def load_bundle(make_bundle):
    """load_bundle(min_face=, ...) loads the bundle of make_bundle(...)."""

    def load(min_face=None, **kwargs) -> Predictor:
        return portrait18.load(make_bundle(**kwargs), CPU, min_face)

    return load


def noise(count: int, side: int = 40) -> np.ndarray:
    """Crops of coarse patches, uint8 (N, side, side, 3)."""
    patches = np.random.default_rng(3).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return patches.repeat(side // 5, 1).repeat(side // 5, 2)
