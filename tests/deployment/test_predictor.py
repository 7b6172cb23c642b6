import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from bundling import CPU, MODELS, RUNS, VOTERS, noise, soft
from synthetic import REPO
from tiny import demo_photo

from portrait18.core.runs import Run
from portrait18.cropping import faces
from portrait18.dataset.classes import ALL, CLASS_NAMES, TASKS, encode, joint
from portrait18.deployment.results import CropPredictions, Detection, face_prediction
from portrait18.evaluation import temperature, voting
from portrait18.evaluation.ensemble_config import TaskEnsemble
from portrait18.models import inference
from portrait18.models.inference import PredictOptions


def predict_as_the_stages(ensemble, crops, flip=True, tta_scales=(1.0, 0.8)):
    """Return the table that the stages predict and ensemble would write."""
    models = {}
    for name in MODELS:
        members = []
        for run in (run for run in RUNS if run.model == name):
            model = inference.load(run.weights, CPU)
            rows = np.arange(len(crops))
            options = PredictOptions(32, 4, flip, tta_scales)
            probabilities, years = inference.predict(
                model.network, model.target, crops, rows, options
            )
            table = pd.DataFrame(
                probabilities.astype(np.float64), columns=model.target.task.columns
            ).assign(set="eval", photo=rows)
            members.append(table if years is None else table.assign(years=years.astype(np.float64)))
        models[name] = voting.average_members(members, ["set", "photo"]).loc["eval"]
    models = temperature.scale_models(models, ensemble.temperatures)
    years = voting.mean_years(models.values())
    predictions = ensemble.predict(voting.collect_votes(models, VOTERS), years)
    return voting.assemble(predictions, pd.RangeIndex(len(crops)), years)


@pytest.mark.parametrize("decision", ["argmax", "joint", "thresholds"])
def test_predictions_equal_those_of_the_pipeline(load_bundle, decision):
    tasks = {n: t._replace(weights=np.array([0.8, 0.2])) for n, t in soft().tasks.items()}
    ensemble = soft(tasks=tasks, temperatures={"mask": 0.3, "all": 0.5})
    if decision == "joint":
        ensemble = ensemble._replace(joint_offsets=np.linspace(0, 3, 18)[::-1])
    if decision == "thresholds":
        ensemble = ensemble._replace(thresholds=np.array([44.0, 46.0]))
    crops = noise(9)
    found = load_bundle(ensemble=ensemble).classify(crops)
    table = predict_as_the_stages(ensemble, crops)
    for name, task in TASKS.items():
        np.testing.assert_array_equal(getattr(found, name), table[task.columns])
    np.testing.assert_array_equal(found.years, table.years)
    np.testing.assert_array_equal(found.class_ids, table["class"])
    np.testing.assert_array_equal(found.joint, joint(found.mask, found.gender, found.age))
    most_probable = found.joint.argmax(1)
    assert (found.class_ids == most_probable).all() == (decision == "argmax")
    other = load_bundle(ensemble=ensemble._replace(temperatures={})).classify(crops)
    assert np.abs(found.mask - other.mask).max() > 0.01
    assert np.abs(found.mask - found.mask[0]).max() > 0.01, "the crops must differ"


def test_a_single_network_of_18_classes_predicts_all_tasks(load_bundle):
    run = RUNS[-1]
    ensemble = soft(tasks={"all": TaskEnsemble("soft", np.ones(1), np.eye(18)[4] * 9)})
    loaded = load_bundle(ensemble=ensemble, voters={"all": ["all"]}, runs=[run])
    found = loaded.classify(noise(3))
    model = inference.load(run.weights, CPU)
    options = PredictOptions(32, 4, True, [1.0, 0.8])
    probabilities, _ = inference.predict(
        model.network, model.target, noise(3), np.arange(3), options
    )
    np.testing.assert_allclose(
        found.gender[:, 1], probabilities.reshape(3, 3, 2, 3)[:, :, 1].sum((1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(found.joint, probabilities, rtol=1e-5)
    assert found.class_ids.tolist() == [4, 4, 4]
    assert found.years is None
    assert probabilities.shape[1] == len(ALL.classes)


def test_age_models_of_one_gender_act_as_one(load_bundle, monkeypatch):
    runs = [Run("women", 0, 0), Run("all", 0, 0), Run("men", 0, 0)]
    for run, people in (("women", "female"), ("men", "male")):
        monkeypatch.setitem(MODELS, run, {"task": "age", "people": people})
    one = TaskEnsemble("soft", np.ones(1), np.zeros(3))
    temperatures = {"women": 0.4, "all": 0.5, "men": 2.0}
    tasks = {"mask": one, "gender": one._replace(offsets=np.zeros(2)), "age": one}
    ensemble = soft(tasks=tasks, temperatures=temperatures)
    voters = {"mask": ["all"], "gender": ["all"], "age": ["women+men"]}
    loaded = load_bundle(ensemble=ensemble, voters=voters, runs=runs)
    crops = noise(4)
    ages = []
    for run in (runs[2], runs[0]):
        model = inference.load(run.weights, CPU)
        options = PredictOptions(32, 4, True, [1.0, 0.8])
        found, _ = inference.predict(model.network, model.target, crops, np.arange(4), options)
        ages.append(temperature.scale(found, temperatures[run.model]))
    found = loaded.classify(crops)
    expected = np.einsum("ng,gna->na", found.gender, np.stack(ages))
    np.testing.assert_allclose(found.age, expected, rtol=1e-5)
    assert np.abs(ages[0] - ages[1]).max() > 0.01


def test_no_crops_give_empty_predictions(load_bundle):
    loaded = load_bundle()
    found = loaded.classify(np.zeros((0, 40, 40, 3), np.uint8))
    assert found.mask.shape == (0, 3)
    assert found.gender.shape == (0, 2)
    assert found.joint.shape == (0, 18)
    assert found.class_ids.shape == (0,)
    assert loaded.predict_faces([[], []]) == [[], []]
    assert loaded.predict([]) == []


@pytest.mark.parametrize(
    "crops", [np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 40, 40, 3), np.float32)]
)
def test_crops_of_another_size_or_dtype_are_refused(load_bundle, crops):
    with pytest.raises(ValueError, match=r"must be uint8 \(N, 40, 40, 3\)"):
        load_bundle().classify(crops)


def test_a_face_prediction_holds_labels_and_probabilities_and_converts_to_json():
    detection = Detection(faces.Face(1.0, 2.0, 30.5, 40.0, 3.0, 0.99), "mtcnn", noise(1)[0])
    parts = {
        "mask": np.array([[0, 0, 1], [0.2, 0.5, 0.3]]),
        "gender": np.array([[1, 0], [0.25, 0.75]]),
        "age": np.array([[0, 1, 0], [0.6, 0.1, 0.3]]),
    }
    predictions = CropPredictions(
        **parts,
        joint=joint(**parts),
        years=np.array([50, 61.234]),
        class_ids=np.array([0, encode(1, 1, 2)]),
    )
    face = face_prediction(detection, predictions, 1)
    assert face.age_group.label == "old"
    assert face.age_group.probabilities == {"young": 0.6, "middle": 0.1, "old": 0.3}
    assert (face.class_id, face.class_name) == (11, "incorrect female >=60")
    assert face.probabilities[11] == pytest.approx(0.5 * 0.75 * 0.3)
    assert sum(face.probabilities) == pytest.approx(1)
    assert face.years == 61.234
    record = face.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record == {
        "box": [1.0, 2.0, 30.5, 40.0],
        "score": 0.99,
        "found": "mtcnn",
        "class": 11,
        "name": CLASS_NAMES[11],
        "mask": {
            "label": "incorrect",
            "probabilities": {"worn": 0.2, "incorrect": 0.5, "none": 0.3},
        },
        "gender": {"label": "female", "probabilities": {"male": 0.25, "female": 0.75}},
        "age": {"label": "old", "probabilities": {"young": 0.6, "middle": 0.1, "old": 0.3}},
        "years": 61.23,
    }
    without_years = replace(predictions, years=None)
    assert face_prediction(detection, without_years, 1).to_dict()["years"] is None


def test_importing_the_package_does_not_import_torch():
    code = "import portrait18, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


def test_predictions_work_from_another_thread(load_bundle):
    loaded, photo = load_bundle(), demo_photo()
    here = loaded.predict(photo).faces[0]
    with ThreadPoolExecutor(1) as worker:
        there = worker.submit(loaded.predict, photo).result().faces[0]
    assert there.probabilities == pytest.approx(here.probabilities, rel=1e-6)
    assert not torch.is_inference_mode_enabled()


def test_crops_of_several_requests_are_predicted_as_each_alone(load_bundle):
    loaded, crops = load_bundle(), noise(6)
    together = loaded.classify(crops)
    parts = [loaded.classify(crops[:2]), loaded.classify(crops[2:])]
    for name in TASKS:
        apart = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(getattr(together, name), apart, rtol=1e-4)
