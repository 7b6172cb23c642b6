import cv2
import numpy as np
import pytest
from bundling import BOX, CPU
from tiny import crop_params, demo_photo

from portrait18.cropping import faces, framing


def test_every_face_of_every_photo_is_cropped_the_largest_first(load_bundle):
    loaded = load_bundle()
    near = demo_photo()
    far = cv2.resize(near, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    height, width = far.shape[:2]
    far = cv2.copyMakeBorder(far, near.shape[0] - height, 0, 0, 0, cv2.BORDER_REPLICATE)
    pair = np.concatenate([far, near], axis=1)
    two, one, none = loaded.detect([pair, near, np.full_like(near, 90)])
    assert [len(found) for found in (two, one, none)] == [2, 1, 0]
    large, small = (found.face for found in two)
    assert large.side > 1.2 * small.side
    assert large.x0 > width > small.x1
    assert [found.found for found in two] == ["mtcnn", "mtcnn"]
    (single,) = one
    [found] = faces.Detector(0.2, CPU)(near[None], "mtcnn")
    np.testing.assert_allclose(single.face[:6], found[0][:6], atol=0.05)
    np.testing.assert_allclose(single.face.points, found[0].points, atol=0.05)
    np.testing.assert_array_equal(single.crop, framing.crop(near, single.face, 40, 0.4, "eyes"))
    for found in two:
        np.testing.assert_array_equal(found.crop, framing.crop(pair, found.face, 40, 0.4, "eyes"))


def test_a_face_found_by_a_later_search_is_the_one_that_the_pipeline_takes(load_bundle):
    photo = demo_photo("mask1", "000005_male_Black_79")
    [[found]] = load_bundle().detect([photo])
    candidates = faces.Detector(0.2, CPU)(photo[None], "yunet")[0]
    assert found.found == "yunet"
    best = faces.choose(candidates, photo.shape[1], photo.shape[0])
    np.testing.assert_allclose(found.face[:6], best[:6], atol=0.05)
    np.testing.assert_allclose(found.face.points, best.points, atol=0.05)


class ScriptedSearches:
    """Replaces the detector; every search from `from_search` on finds the same faces."""

    def __init__(self, searches, from_search, found):
        self.searches, self.found, self.finding = searches, found, searches[from_search:]

    def __call__(self, batch, search):
        return [self.found if search in self.finding else [] for _ in batch]


def test_of_the_later_searches_only_the_most_plausible_face_counts(load_bundle):
    loaded = load_bundle()
    edge, middle = (
        faces.Face(0.0, 0.0, 60.0, 60.0, 0.0, 0.5),
        faces.Face(70.0, 70.0, 130.0, 130.0, 0.0, 0.5),
    )
    photo = np.zeros((200, 200, 3), np.uint8)
    searches = faces.SEARCHES["mtcnn"]
    for n, source in enumerate(searches):
        loaded._detector = ScriptedSearches(searches, from_search=n, found=[edge, middle])
        wanted = [edge, middle] if n == 0 else [middle]
        found = loaded.detect([photo])[0]
        assert [detection.face for detection in found] == wanted
        assert {detection.found for detection in found} == {source}


class GroupSearches:
    """Replaces the detector; MTCNN misses the person in the middle, whom YuNet finds."""

    searches = faces.SEARCHES["mtcnn"]
    left, right = (
        faces.Face(5.0, 60.0, 45.0, 100.0, 0.0, 0.999),
        faces.Face(155.0, 60.0, 195.0, 100.0, 0.0, 0.98),
    )
    middle = faces.Face(60.0, 60.0, 140.0, 140.0, 0.0, 0.8)
    nose = faces.Face(90.0, 90.0, 115.0, 115.0, 0.0, 0.9)

    def __call__(self, batch, search):
        found = {"mtcnn": [self.left, self.right, self.nose], "yunet": [self.middle, self.left]}
        return [found.get(search, []) if photo[0, 0].any() else [] for photo in batch]


@pytest.mark.parametrize(
    ("turn", "sources"), [(0, ["yunet", "mtcnn", "mtcnn"]), (2, ["rotated"] * 3)]
)
def test_a_face_that_mtcnn_misses_does_not_hide_the_other_people(load_bundle, turn, sources):
    loaded = load_bundle()
    loaded._detector, loaded._turn_finder = GroupSearches(), lambda photo: turn
    upright = np.zeros((200, 200, 3), np.uint8)
    upright[0, 0] = 255
    found = loaded.detect([np.rot90(upright, -turn)])[0]
    assert [detection.found for detection in found] == sources
    middles = [(face.face.x0 + face.face.x1) / 2 for face in found]
    assert middles == ([100, 25, 175] if turn == 0 else [100, 175, 25])


def test_a_photo_without_a_face_is_predicted_at_the_median_box_only_if_asked(load_bundle):
    loaded, photo = (
        load_bundle(),
        np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8),
    )
    assert loaded.detect([photo]) == [[]]
    [[found]] = loaded.detect([photo], assume_face=True)
    assert found.found == "median"
    assert found.face[:4] == (20.0, 20.0, 70.0, 120.0)
    assert found.face.score == 0
    assert BOX == (0.2, 0.1, 0.7, 0.6)
    np.testing.assert_array_equal(found.crop, framing.crop(photo, found.face, 40, 0.4, "eyes"))
    [[face]] = loaded.detect([demo_photo()], assume_face=True)
    assert face.found == "mtcnn"


def test_a_bundle_trained_on_middle_squares_crops_those(load_bundle):
    loaded, photo = load_bundle(crop=crop_params(image_size=40, method="center")), demo_photo()
    [[found]] = loaded.detect([photo])
    height, width = photo.shape[:2]
    edge = (height - width) // 2
    assert found.found == "center"
    middle = cv2.resize(photo[edge : edge + width], (40, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(found.crop.astype(int) - middle).mean() < 3


def test_a_smaller_min_face_finds_smaller_faces(load_bundle):
    photo = np.full((512, 384, 3), 128, np.uint8)
    photo[200:328, 140:236] = cv2.resize(demo_photo(), (96, 128), interpolation=cv2.INTER_AREA)
    assert all(
        found.found != "mtcnn"
        for found in load_bundle(crop=crop_params(image_size=40, min_face=0.5)).detect([photo])[0]
    )
    [[found]] = load_bundle(crop=crop_params(image_size=40, min_face=0.5), min_face=0.1).detect(
        [photo]
    )
    assert found.found == "mtcnn"
    assert 140 < found.face.x0 < found.face.x1 < 236


def test_five_points_are_used_for_a_bundle_that_was_trained_on_such_crops(load_bundle):
    params = crop_params(image_size=40, align="five_points")
    photo = demo_photo()
    [[found]] = load_bundle(crop=params).detect([photo])
    assert len(found.face.points) == 10
    np.testing.assert_array_equal(
        found.crop, framing.crop(photo, found.face, 40, 0.4, "five_points")
    )
    assert (found.crop != framing.crop(photo, found.face, 40, 0.4, "eyes")).any()


def test_a_bundle_that_was_cropped_by_yunet_is_predicted_by_yunet(load_bundle):
    near = demo_photo()
    loaded = load_bundle(crop=crop_params(image_size=40, method="yunet"))
    one, two, none = loaded.detect(
        [near, np.concatenate([near, near], axis=1), np.full_like(near, 90)]
    )
    assert [found.found for found in (*one, *two)] == ["yunet"] * 3
    assert none == []


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_bundle_turns_photos_as_its_training_crops_were(load_bundle, turn):
    photo = demo_photo()
    rotated = np.ascontiguousarray(np.rot90(photo, turn))
    loaded = load_bundle(crop=crop_params(image_size=40, rotate=True))
    [[upright], [found]] = loaded.detect([photo, rotated])
    assert (upright.found, found.found) == ("mtcnn", "rotated")
    np.testing.assert_array_equal(found.crop, upright.crop)
    x0, y0, x1, y1 = map(round, found.face[:4])
    face = np.rot90(rotated[y0:y1, x0:x1], -turn % 4)
    u0, v0, u1, v1 = map(round, upright.face[:4])
    assert abs(face.shape[0] - (v1 - v0)) <= 1
    size = face.shape[1::-1]
    expected = cv2.resize(photo[v0:v1, u0:u1], size, interpolation=cv2.INTER_AREA)
    assert np.abs(face.astype(int) - expected).mean() < 3, "the box lies on the face"
    assert load_bundle().detect([rotated])[0] != [found]
