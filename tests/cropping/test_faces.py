import cv2
import numpy as np
import pytest
import torch
from tiny import demo_photo

from portrait18.cropping import faces
from portrait18.cropping.faces import Face

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector():
    return faces.Detector(0.2, CPU)


def face(x0, y0, x1, y1, tilt=0.0, score=1.0):
    return Face(x0, y0, x1, y1, tilt, score)


def turned(photo, degrees):
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def test_finds_the_one_face_of_a_portrait(detector):
    [found] = detector(demo_photo()[None])
    assert len(found) == 1
    x0, y0, x1, y1, tilt, score = found[0]
    assert 50 < x0 < 130
    assert 240 < x1 < 320
    assert 30 < y0 < 110
    assert 270 < y1 < 370
    assert score > 0.95
    assert abs(tilt) < 10


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize("pixels", ["blank", "noise"])
def test_a_batch_without_faces_gives_empty_lists(detector, retry, pixels):
    batch = np.full((3, 256, 192, 3), 120, np.uint8)
    if pixels == "noise":
        batch = np.random.default_rng(0).integers(0, 256, batch.shape, np.uint8)
    assert detector(batch, retry) == [[], [], []]


def test_retry_finds_a_face_that_the_default_thresholds_miss(detector):
    photo = demo_photo("mask1", "000005_male_Black_79")[None]
    assert detector(photo) == [[]]
    assert len(detector(photo, retry=True)[0]) >= 1


def test_faces_below_the_minimum_size_are_ignored():
    small = cv2.resize(demo_photo(), (96, 128), interpolation=cv2.INTER_AREA)
    photo = np.full((512, 384, 3), 128, np.uint8)
    photo[200:328, 140:236] = small
    assert faces.Detector(0.1, CPU)(photo[None])[0]
    assert not faces.Detector(0.5, CPU)(photo[None])[0]


@pytest.mark.parametrize("degrees", [15, -15])
def test_tilt_is_that_of_the_eyes(detector, degrees):
    level, tilted = detector(np.stack([demo_photo(), turned(demo_photo(), degrees)]))
    assert tilted[0].tilt == pytest.approx(level[0].tilt - degrees, abs=3)


@pytest.mark.parametrize("degrees", [15, -15])
def test_align_levels_the_eyes_of_a_tilted_face(detector, degrees):
    photo = turned(demo_photo(), degrees)
    found = faces.choose(detector(photo[None])[0], 384, 512)
    tilts = [
        detector(faces.crop(photo, found, 256, 0.6, align)[None])[0][0].tilt
        for align in (False, True)
    ]
    assert abs(tilts[0]) > 10
    assert abs(tilts[1]) < 3


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


@pytest.mark.parametrize("size", [32, 96, 200])
@pytest.mark.parametrize("margin", [0.0, 0.4, 1.0])
def test_the_margin_widens_the_square_by_its_share(size, margin):
    photo = np.zeros((400, 300, 3), np.uint8)
    photo[150:250, 100:200] = 255
    cut = faces.crop(photo, face(100, 150, 200, 250), size, margin, True)
    assert cut.shape == (size, size, 3)
    assert cut.dtype == np.uint8
    side = size * np.sqrt(cut.mean() / 255)
    assert side == pytest.approx(size / (1 + margin), abs=0.02 * size)


def test_the_square_has_the_longer_side_and_the_boxs_center():
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[100:300, 150:250] = 255
    light = faces.crop(photo, face(150, 100, 250, 300), 100, 0, False)[..., 0] > 127
    assert light.any(1).all()
    columns = np.flatnonzero(light.any(0))
    assert columns[0] == pytest.approx(25, abs=1)
    assert columns[-1] == pytest.approx(74, abs=1)


@pytest.mark.parametrize("tilt", [20.0, -35.0])
def test_align_rotates_by_the_tilt(tilt):
    photo = np.zeros((200, 200, 3), np.uint8)
    step = 40 * np.array([np.cos(np.radians(tilt)), np.sin(np.radians(tilt))])
    for sign, channel in ((-1, 0), (1, 1)):
        x, y = 100 + sign * step
        dot = np.zeros((200, 200), np.uint8)
        cv2.circle(dot, (round(x), round(y)), 4, 255, -1)
        photo[..., channel] = dot
    cut = faces.crop(photo, face(50, 50, 150, 150, tilt), 128, 0.2, align=True)
    left, right = (
        [np.average(i, weights=cut[..., c]) for i in np.indices(cut.shape[:2])] for c in (0, 1)
    )
    assert left[0] == pytest.approx(right[0], abs=1.5)
    assert left[1] < right[1]


def test_the_outermost_pixels_are_repeated_outside_the_photo():
    photo = np.full((100, 100, 3), 200, np.uint8)
    photo[:, 0] = 10
    cut = faces.crop(photo, face(-50, 0, 50, 100), 100, 0, False)
    assert (cut[:, :49] == 10).all()
    assert (cut[:, 52:] == 200).all()


@pytest.mark.parametrize("side", [96, 100, 333])
def test_shrinking_averages_a_checkerboard_to_grey(side):
    board = np.indices((400, 400)).sum(0) % 2 * 255
    photo = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    cut = faces.crop(photo, face(20, 20, 20 + side, 20 + side), 32, 0, False).astype(int)
    assert abs(cut.mean() - 127.5) < 2
    assert np.abs(cut - 127.5).max() < 50


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_boxes_are_the_same_on_the_gpu(detector):
    batch = np.stack(
        [demo_photo(state) for state in ("normal", "incorrect_mask", "mask1", "mask2")]
    )
    on_gpu = faces.Detector(0.2, torch.device("cuda"))(batch)
    for ours, theirs in zip(detector(batch), on_gpu, strict=True):
        np.testing.assert_allclose([f[:4] for f in theirs], [f[:4] for f in ours], atol=1)
