import json

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from bundling import ABLE, BOX, CPU, MODELS, RUNS, noise, soft
from tiny import crop_params, demo_photo

from portrait18.core.errors import UserError
from portrait18.cropping import faces
from portrait18.dataset.classes import ALL, CLASS_NAMES, TASKS, encode, joint
from portrait18.deployment import bundle
from portrait18.evaluation import ensembling
from portrait18.models import inference
from portrait18.models.inference import PredictOptions


def by_the_pipeline(ensemble, crops, flip=True, tta_scales=(1.0, 0.8)):
    """The table that stages predict and ensemble come to, one after the other."""
    tables = {}
    for name in MODELS:
        members = []
        for run in (run for run in RUNS if run.model == name):
            model = inference.load(run.weights, CPU)
            rows = np.arange(len(crops))
            options = PredictOptions(32, 4, flip, tta_scales)
            said, years = inference.predict(model.network, model.target, crops, rows, options)
            table = pd.DataFrame(said, columns=model.target.task.columns).assign(
                set="eval", photo=rows
            )
            members.append(table if years is None else table.assign(years=years))
        tables[name] = ensembling.average(members)
    votes = {
        name: ensembling.Votes(
            np.stack([ensembling.probabilities_of(task, tables[m]) for m in ABLE[name]])
        )
        for name, task in TASKS.items()
    }
    years = tables["years"].years.to_numpy()
    return ensembling.assemble(ensemble.answer(votes, years), pd.RangeIndex(len(crops)), years)


@pytest.mark.parametrize("how", ["plain", "joint", "thresholds"])
def test_answers_are_the_pipelines(load_bundle, how):
    weights = {n: c._replace(weights=np.array([0.8, 0.2])) for n, c in soft().choices.items()}
    ensemble = soft(choices=weights)
    if how == "joint":
        ensemble = ensemble._replace(joint_offsets=np.linspace(0, 3, 18)[::-1])
    if how == "thresholds":
        ensemble = ensemble._replace(thresholds=np.array([44.0, 46.0]))
    crops = noise(9)
    answers = load_bundle(ensemble=ensemble).answers(crops)
    table = by_the_pipeline(ensemble, crops)
    for name, task in TASKS.items():
        np.testing.assert_allclose(getattr(answers, name), table[task.columns], rtol=1e-5)
    np.testing.assert_allclose(answers.years, table.years, rtol=1e-5)
    assert (answers.number == table["class"]).all()
    likeliest = joint(answers.mask, answers.gender, answers.age).argmax(1)
    assert (answers.number == likeliest).all() == (how == "plain")
    assert np.abs(answers.mask - answers.mask[0]).max() > 0.01, (
        "crops that differ must be told apart"
    )


def test_one_network_for_all_answers_the_18_classes_at_once(load_bundle):
    run = RUNS[-1]
    ensemble = soft(
        choices={
            "all": soft().choices["mask"]._replace(weights=np.ones(1), offsets=np.eye(18)[4] * 9)
        }
    )
    loaded = load_bundle(ensemble=ensemble, models={"all": ["all"]}, runs=[run])
    answers = loaded.answers(noise(3))
    model = inference.load(run.weights, CPU)
    options = PredictOptions(32, 4, True, [1.0, 0.8])
    said, _ = inference.predict(model.network, model.target, noise(3), np.arange(3), options)
    np.testing.assert_allclose(
        answers.gender[:, 1], said.reshape(3, 3, 2, 3)[:, :, 1].sum((1, 2)), rtol=1e-5
    )
    assert answers.number.tolist() == [4, 4, 4]
    assert answers.years is None
    assert said.shape[1] == len(ALL.classes)


def test_no_crops_have_no_answers(load_bundle):
    answers = load_bundle().answers(np.zeros((0, 40, 40, 3), np.uint8))
    assert answers.mask.shape == (0, 3)
    assert answers.gender.shape == (0, 2)
    assert answers.number.shape == (0,)


@pytest.mark.parametrize(
    "crops", [np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 40, 40, 3), np.float32)]
)
def test_crops_of_another_size_or_kind_are_refused(load_bundle, crops):
    with pytest.raises(ValueError, match=r"must be uint8 \(N, 40, 40, 3\)"):
        load_bundle().answers(crops)


def test_every_face_of_every_photo_is_cut_the_largest_first(load_bundle):
    loaded = load_bundle()
    near = demo_photo()
    far = cv2.resize(near, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    height, width = far.shape[:2]
    far = cv2.copyMakeBorder(far, near.shape[0] - height, 0, 0, 0, cv2.BORDER_REPLICATE)
    pair = np.concatenate([far, near], axis=1)
    two, one, none = loaded.crops([pair, near, np.full_like(near, 90)])
    assert [len(found) for found in (two, one, none)] == [2, 1, 0]
    large, small = (found.face for found in two)
    assert large.side > 1.2 * small.side
    assert large.x0 > width > small.x1
    assert [found.how for found in two] == ["mtcnn", "mtcnn"]
    (single,) = one
    [found] = faces.Detector(0.2, CPU)(near[None])
    np.testing.assert_allclose(single.face, found[0], atol=0.05)
    np.testing.assert_array_equal(single.crop, faces.crop(near, single.face, 40, 0.4, True))
    for found in two:
        np.testing.assert_array_equal(found.crop, faces.crop(pair, found.face, 40, 0.4, True))


def test_a_face_found_at_the_lower_thresholds_only_is_the_pipelines(load_bundle):
    photo = demo_photo("mask1", "000005_male_Black_79")
    [[found]] = load_bundle().crops([photo])
    candidates = faces.Detector(0.2, CPU)(photo[None], retry=True)[0]
    assert found.how == "retry"
    np.testing.assert_allclose(
        found.face, faces.choose(candidates, photo.shape[1], photo.shape[0]), atol=0.05
    )


def test_at_the_lower_thresholds_the_most_plausible_face_alone_counts(load_bundle):
    loaded = load_bundle()
    edge, middle = (
        faces.Face(0.0, 0.0, 60.0, 60.0, 0.0, 0.5),
        faces.Face(70.0, 70.0, 130.0, 130.0, 0.0, 0.5),
    )
    photo = np.zeros((200, 200, 3), np.uint8)
    for first, wanted in ((False, [middle]), (True, [edge, middle])):
        loaded._detector = lambda batch, retry, first=first: [
            [edge, middle] if retry or first else []
        ]
        assert [found.face for found in loaded.crops([photo])[0]] == wanted


def test_a_photo_without_a_face_is_taken_for_a_portrait_only_if_asked(load_bundle):
    loaded, photo = (
        load_bundle(),
        np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8),
    )
    assert loaded.crops([photo]) == [[]]
    [[found]] = loaded.crops([photo], whole=True)
    assert found.how == "median"
    assert found.face[:4] == (20.0, 20.0, 70.0, 120.0)
    assert found.face.score == 0
    assert BOX == (0.2, 0.1, 0.7, 0.6)
    np.testing.assert_array_equal(found.crop, faces.crop(photo, found.face, 40, 0.4, True))
    [[face]] = loaded.crops([demo_photo()], whole=True)
    assert face.how == "mtcnn"


def test_a_bundle_of_middle_squares_cuts_those(load_bundle):
    loaded, photo = load_bundle(crop=crop_params(image_size=40, method="center")), demo_photo()
    [[found]] = loaded.crops([photo])
    height, width = photo.shape[:2]
    edge = (height - width) // 2
    assert found.how == "center"
    middle = cv2.resize(photo[edge : edge + width], (40, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(found.crop.astype(int) - middle).mean() < 3


def test_smaller_faces_are_found_where_they_are_asked_for(load_bundle):
    photo = np.full((512, 384, 3), 128, np.uint8)
    photo[200:328, 140:236] = cv2.resize(demo_photo(), (96, 128), interpolation=cv2.INTER_AREA)
    assert all(
        found.how != "mtcnn"
        for found in load_bundle(crop=crop_params(image_size=40, min_face=0.5)).crops([photo])[0]
    )
    [[found]] = load_bundle(crop=crop_params(image_size=40, min_face=0.5), min_face=0.1).crops(
        [photo]
    )
    assert found.how == "mtcnn"
    assert 140 < found.face.x0 < found.face.x1 < 236


def test_a_record_says_what_was_decided_and_how_likely_each_class_is(load_bundle):
    face = faces.Face(1.0, 2.0, 30.5, 40.0, 3.0, 0.99)
    found = bundle.Found(face, "mtcnn", noise(1)[0])
    answers = bundle.Answers(
        np.array([[0, 0, 1], [0.2, 0.5, 0.3]]),
        np.array([[1, 0], [0.25, 0.75]]),
        np.array([[0, 1, 0], [0.6, 0.1, 0.3]]),
        np.array([50, 61.234]),
        np.array([0, encode(1, 1, 2)]),
    )
    record = bundle.record(found, answers, 1)
    assert json.loads(json.dumps(record)) == record
    assert record["box"] == [1.0, 2.0, 30.5, 40.0]
    assert record["score"] == 0.99
    assert record["found"] == "mtcnn"
    assert record["class"] == 11
    assert record["name"] == CLASS_NAMES[11] == "incorrect female >=60"
    assert record["mask"] == {
        "answer": "incorrect",
        "probabilities": {"worn": 0.2, "incorrect": 0.5, "none": 0.3},
    }
    assert record["age"]["answer"] == "old"
    assert record["age"]["probabilities"]["young"] == 0.6
    assert record["gender"]["probabilities"] == {"male": 0.25, "female": 0.75}
    assert record["years"] == 61.23
    assert bundle.record(found, answers._replace(years=None), 1)["years"] is None


def spoil(folder, how):
    path = folder / bundle.MANIFEST
    value = json.loads(path.read_text())
    if how == "no folder":
        return folder / "nowhere"
    if how == "half":
        path.write_text(path.read_text()[:100])
    elif how == "format":
        path.write_text(json.dumps({**value, "format": 2}))
    elif how == "outside":
        value["networks"][0]["file"] = "../elsewhere.safetensors"
        path.write_text(json.dumps(value))
    elif how == "choice":
        del value["choice"]["tasks"]["mask"]["weights"]
        path.write_text(json.dumps(value))
    elif how == "two weights":
        (folder / "mask-0-0.safetensors").unlink()
        (folder / "gender-0-0.safetensors").write_bytes(
            (folder / "all-0-0.safetensors").read_bytes()
        )
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no folder", "nowhere holds no bundle"),
        ("half", r"bundle\.json is damaged"),
        ("format", "another version .*format"),
        ("outside", "networks.0.file"),
        ("choice", "KeyError: 'weights'|missing"),
        (
            "two weights",
            r"(?s)mask-0-0.safetensors is missing.*gender-0-0.safetensors is not the file",
        ),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused_in_plain_lines(make_bundle, how, message):
    folder = spoil(make_bundle(), how)
    with pytest.raises(UserError, match=message) as caught:
        bundle.load(folder, CPU)
    assert all("\n" not in problem for problem in caught.value.problems)


def test_the_two_calls_work_from_another_thread(load_bundle):
    from concurrent.futures import ThreadPoolExecutor

    loaded, photo = load_bundle(), demo_photo()
    here = loaded.answers(np.stack([loaded.crops([photo])[0][0].crop]))
    with ThreadPoolExecutor(1) as worker:
        [[found]] = worker.submit(loaded.crops, [photo]).result()
        there = worker.submit(loaded.answers, found.crop[None]).result()
    np.testing.assert_allclose(there.mask, here.mask, rtol=1e-6)
    assert not torch.is_inference_mode_enabled()


def test_answers_to_crops_of_several_requests_are_those_to_each(load_bundle):
    loaded, crops = load_bundle(), noise(6)
    together, first, second = (
        loaded.answers(crops),
        loaded.answers(crops[:2]),
        loaded.answers(crops[2:]),
    )
    for name in TASKS:
        apart = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_allclose(getattr(together, name), apart, rtol=1e-4)
    assert joint(together.mask, together.gender, together.age).shape == (6, 18)
