import numpy as np
import pytest
import torch
from tiny import demo_photo

from portrait18.cropping import faces, rotation
from portrait18.cropping.faces import Face

CPU = torch.device("cpu")
#: A masked face, which every search finds with a lower score.
MASKED = demo_photo("mask1", "000005_male_Black_79")


@pytest.fixture(scope="module")
def turn_finder():
    return rotation.TurnFinder()


def turned(photo, turn):
    return np.ascontiguousarray(np.rot90(photo, turn))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_face_is_turned_back_with_its_photo(turn):
    """A corner of each kind of coordinate marks a pixel, whose place in the photo is known."""
    upright = np.zeros((40, 30, 3), np.uint8)
    upright[20, 10] = 255
    photo = turned(upright, -turn % 4)
    face = Face(10, 20, 11, 21, 5.0, 0.9, (10.5, 20.5) * 5)
    back = rotation.turn_back(face, turn, 30, 40)
    y, x = np.argwhere(photo[..., 0])[0]
    assert back[:4] == (x, y, x + 1, y + 1)
    assert back.points == (x + 0.5, y + 0.5) * 5
    assert back.score == 0.9
    assert (back.tilt - 5 - 90 * turn) % 360 == 0
    assert -180 <= back.tilt <= 180


def test_a_face_that_is_not_turned_keeps_every_bit():
    face = Face(10.123456, 20, 11, 21, -180.0, 0.9, (0.1,) * 10)
    assert rotation.turn_back(face, 0, 30, 40) is face


@pytest.mark.parametrize(
    ("points", "tilt", "upright"),
    [
        ([(0, 0), (10, 0), (5, 5), (2, 10), (8, 10)], 0.0, True),
        ([(0, 0), (10, 3), (5, 5), (2, 10), (8, 12)], 16.7, True),
        ([(2, 10), (8, 10), (5, 5), (0, 0), (10, 0)], 0.0, False),
        ([(0, 10), (0, 0), (5, 5), (10, 8), (10, 2)], -90.0, False),
        ([(10, 0), (0, 0), (5, 5), (8, 10), (2, 10)], 180.0, False),
    ],
    ids=["upright", "tilted", "mouth above eyes", "sideways", "eyes swapped"],
)
def test_points_tell_an_upright_face(points, tilt, upright):
    face = Face(0, 0, 10, 10, tilt, 0.9, tuple(float(v) for point in points for v in point))
    assert rotation.is_upright(face) is upright


def test_a_face_without_points_counts_as_upright():
    assert rotation.is_upright(Face(0, 0, 10, 10, 0.0, 0.9))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_photo_that_is_not_upright_gives_the_faces_of_the_upright_one(
    detector, turn_finder, turn
):
    photos = [demo_photo(), MASKED]
    expected = faces.find(detector, photos, 2)
    found = rotation.find(detector, [turned(p, -turn % 4) for p in photos], 2, turn_finder)
    assert [f.turn for f in found] == [turn, turn]
    assert [f.source for f in found] == ["rotated", "rotated"]
    assert [f._replace(turn=0) for f in found] == expected


def test_upright_photos_and_photos_without_a_face_stay_as_they_are(detector, turn_finder):
    blank = np.full((256, 192, 3), 120, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, blank.shape, np.uint8)
    photos = [demo_photo(), MASKED, None, blank, noise]
    found = rotation.find(detector, photos, 2, turn_finder)
    expected = faces.find(detector, photos, 2)
    assert found == expected
    assert [f.source for f in found] == [f.search for f in expected]


@pytest.mark.parametrize(
    ("person", "state"), [("000023_male_White_79", "mask4"), ("000018_male_Asian_64", "mask1")]
)
def test_a_bald_head_above_a_mask_is_no_face_upside_down(detector, turn_finder, person, state):
    [found] = rotation.find(detector, [demo_photo(state, person)], 1, turn_finder)
    assert (found.turn, found.search) == (0, "mtcnn")


def test_without_a_turn_finder_nothing_is_turned(detector):
    photo = turned(demo_photo(), 1)
    [found] = rotation.find(detector, [photo], 1, None)
    assert found.turn == 0
    assert [found] == faces.find(detector, [photo], 1)


class Looks:
    """Counts the photos that are looked at; claims that each is upside down."""

    def __init__(self):
        self.count = 0

    def __call__(self, photo):
        self.count += 1
        return 2


class Scripted:
    """Finds a face of a given score by a given search; upside-down photos have a zero corner."""

    searches = ("mtcnn", "yunet", "retry")

    def __init__(self, upright, turned, side=50.0):
        self.found, self.side = {0: upright, 1: turned}, side

    def __call__(self, batch, search):
        result = []
        for photo in batch:
            name, score = self.found[int(photo[0, 0, 0] > 0)]
            face = Face(20.0, 20.0, 20 + self.side, 20 + self.side, 0.0, score)
            result.append([face] if name == search else [])
        return result


@pytest.mark.parametrize(
    ("upright", "turned_face", "looks", "turn"),
    [
        (("mtcnn", 0.999), ("mtcnn", 1.0), 0, 0),
        (("mtcnn", 0.9), ("mtcnn", 0.95), 1, 2),
        (("mtcnn", 0.9), ("mtcnn", 0.85), 1, 0),
        (("mtcnn", 0.8), ("yunet", 0.9), 1, 0),
        (("yunet", 0.7), ("mtcnn", 0.75), 1, 2),
        (("yunet", 0.95), ("mtcnn", 0.99), 0, 0),
        (("retry", 0.99), ("yunet", 0.7), 1, 2),
        (("", 0.0), ("retry", 0.4), 1, 2),
        (("", 0.0), ("", 0.0), 1, 0),
    ],
)
def test_a_turn_counts_if_its_search_is_earlier_or_its_score_higher(
    upright, turned_face, looks, turn
):
    photo = np.zeros((100, 100, 3), np.uint8)
    photo[-1, -1] = 255  # the first pixel after half a turn
    finder = Looks()
    [found] = rotation.find(Scripted(upright, turned_face), [photo], 1, finder)
    assert (finder.count, found.turn) == (looks, turn)


def test_a_face_too_small_for_the_small_copy_is_not_compared():
    finder, photo = Looks(), np.zeros((100, 100, 3), np.uint8)
    rotation.find(Scripted(("mtcnn", 0.8), ("", 0.0), side=15.0), [photo], 1, finder)
    assert finder.count == 0


def test_the_method_yunet_turns_photos_too(turn_finder):
    detector = faces.Detector(0.2, CPU, "yunet")
    upright, sideways = rotation.find(
        detector, [demo_photo(), turned(demo_photo(), 1)], 2, turn_finder
    )
    assert (upright.turn, sideways.turn) == (0, 3)
    assert upright.faces == sideways.faces
