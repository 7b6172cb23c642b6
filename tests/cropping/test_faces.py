import cv2
import numpy as np
import pytest
import torch
from portraits import face, turned
from tiny import demo_photo

from portrait18.cropping import faces

CPU = torch.device("cpu")


def test_finds_the_one_face_of_a_portrait(detector):
    [found] = detector(demo_photo()[None], "mtcnn")
    assert len(found) == 1
    x0, y0, x1, y1, tilt, score, points = found[0]
    assert 50 < x0 < 130
    assert 240 < x1 < 320
    assert 30 < y0 < 110
    assert 270 < y1 < 370
    assert score > 0.95
    assert abs(tilt) < 10
    assert len(points) == 10
    left_eye, right_eye, nose, left_mouth, right_mouth = np.reshape(points, (5, 2))
    assert x0 < left_eye[0] < nose[0] < right_eye[0] < x1
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert y0 < left_eye[1] < nose[1] < left_mouth[1] < y1


@pytest.mark.parametrize("search", ["mtcnn", "retry", "yunet"])
@pytest.mark.parametrize("pixels", ["blank", "noise"])
def test_a_batch_without_faces_gives_empty_lists(detector, search, pixels):
    batch = np.full((3, 256, 192, 3), 120, np.uint8)
    if pixels == "noise":
        batch = np.random.default_rng(0).integers(0, 256, batch.shape, np.uint8)
    assert detector(batch, search) == [[], [], []]


def test_retry_finds_a_face_that_the_default_thresholds_miss(detector):
    photo = demo_photo("mask1", "000005_male_Black_79")[None]
    assert detector(photo, "mtcnn") == [[]]
    assert len(detector(photo, "retry")[0]) >= 1


def test_faces_below_the_minimum_size_are_ignored():
    small = cv2.resize(demo_photo(), (96, 128), interpolation=cv2.INTER_AREA)
    photo = np.full((512, 384, 3), 128, np.uint8)
    photo[200:328, 140:236] = small
    assert faces.Detector(0.1, CPU)(photo[None], "mtcnn")[0]
    assert not faces.Detector(0.5, CPU)(photo[None], "mtcnn")[0]


@pytest.mark.parametrize("degrees", [15, -15])
def test_tilt_is_that_of_the_eyes(detector, degrees):
    level, tilted = detector(np.stack([demo_photo(), turned(demo_photo(), degrees)]), "mtcnn")
    assert tilted[0].tilt == pytest.approx(level[0].tilt - degrees, abs=3)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (face(40, 40, 60, 60), face(30, 30, 70, 70)),
        (face(0, 0, 30, 30), face(35, 35, 65, 65)),
        (face(30, 30, 70, 70, score=0.5), face(30, 30, 70, 70, score=0.9)),
        (face(45, 45, 55, 55, score=1.0), face(20, 20, 80, 80, score=0.8)),
        (face(25, 25, 75, 75, score=0.5), face(30, 30, 70, 70, score=0.95)),
    ],
    ids=["larger", "central", "higher score", "much larger", "much higher score"],
)
def test_choose_prefers(worse, better):
    assert (
        faces.choose([worse, better], 100, 100) == faces.choose([better, worse], 100, 100) == better
    )


def test_choose_without_faces_is_none():
    assert faces.choose([], 100, 100) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_boxes_are_the_same_on_the_gpu(detector):
    batch = np.stack(
        [demo_photo(state) for state in ("normal", "incorrect_mask", "mask1", "mask2")]
    )
    on_gpu = faces.Detector(0.2, torch.device("cuda"))(batch, "mtcnn")
    for ours, theirs in zip(detector(batch, "mtcnn"), on_gpu, strict=True):
        np.testing.assert_allclose([f[:4] for f in theirs], [f[:4] for f in ours], atol=1)
