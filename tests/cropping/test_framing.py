import cv2
import numpy as np
import pytest
from portraits import face, turned
from tiny import demo_photo

from portrait18.cropping import faces, framing
from portrait18.cropping.faces import Face
from portrait18.dataset.alignment import (
    ARCFACE,
    FACE_CENTER,
    FACE_SIDE,
    TEMPLATE,
    crop_square,
    similarity,
    within_crop,
)

PARTS = ("left eye", "right eye", "nose", "left mouth", "right mouth")


def placed(scale, degrees, center, points=TEMPLATE):
    """A face whose points are the template's, scaled, turned and moved, with a fitting box."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = center
    half = FACE_SIDE * scale / 2
    moved = (points - FACE_CENTER) @ turn.T + center
    corners = (x - half, y - half, x + half, y + half)
    return Face(*corners, 0.0, 1.0, tuple(moved.ravel().tolist()))


def dots(shape, points, radius):
    """A photo uint8 (*shape, 3) with a gray dot of its own brightness at each point."""
    photo = np.zeros((*shape, 3), np.uint8)
    for n, (x, y) in enumerate(points):
        center = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(photo, center, radius * 16, (50 * (n + 1),) * 3, -1, cv2.LINE_AA, 4)
    return photo


def dot_centers(crop):
    """Centers of the five dots, float (5, 2), brightest last."""
    count, _, _, centers = cv2.connectedComponentsWithStats((crop[..., 0] > 20).astype(np.uint8))
    assert count == 6
    brightness = [crop[round(y), round(x), 0] for x, y in centers[1:]]
    return centers[1:][np.argsort(brightness)]


@pytest.mark.parametrize("degrees", [15, -15])
def test_align_levels_the_eyes_of_a_tilted_face(detector, degrees):
    photo = turned(demo_photo(), degrees)
    found = faces.choose(detector(photo[None], "mtcnn")[0], 384, 512)
    tilts = [
        detector(framing.crop(photo, found, 256, 0.6, align)[None], "mtcnn")[0][0].tilt
        for align in ("none", "eyes")
    ]
    assert abs(tilts[0]) > 10
    assert abs(tilts[1]) < 3


@pytest.mark.parametrize("size", [32, 96, 200])
@pytest.mark.parametrize("margin", [0.0, 0.4, 1.0])
def test_the_margin_widens_the_square_by_its_share(size, margin):
    photo = np.zeros((400, 300, 3), np.uint8)
    photo[150:250, 100:200] = 255
    cut = framing.crop(photo, face(100, 150, 200, 250), size, margin, "eyes")
    assert cut.shape == (size, size, 3)
    assert cut.dtype == np.uint8
    side = size * np.sqrt(cut.mean() / 255)
    assert side == pytest.approx(size / (1 + margin), abs=0.02 * size)


def test_the_square_has_the_longer_side_and_the_boxs_center():
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[100:300, 150:250] = 255
    light = framing.crop(photo, face(150, 100, 250, 300), 100, 0, "none")[..., 0] > 127
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
    cut = framing.crop(photo, face(50, 50, 150, 150, tilt), 128, 0.2, align="eyes")
    left, right = (
        [np.average(i, weights=cut[..., c]) for i in np.indices(cut.shape[:2])] for c in (0, 1)
    )
    assert left[0] == pytest.approx(right[0], abs=1.5)
    assert left[1] < right[1]


def test_the_outermost_pixels_are_repeated_outside_the_photo():
    photo = np.full((100, 100, 3), 200, np.uint8)
    photo[:, 0] = 10
    cut = framing.crop(photo, face(-50, 0, 50, 100), 100, 0, "none")
    assert (cut[:, :49] == 10).all()
    assert (cut[:, 52:] == 200).all()


@pytest.mark.parametrize("side", [96, 100, 333])
def test_shrinking_averages_a_checkerboard_to_grey(side):
    board = np.indices((400, 400)).sum(0) % 2 * 255
    photo = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    cut = framing.crop(photo, face(20, 20, 20 + side, 20 + side), 32, 0, "none").astype(int)
    assert abs(cut.mean() - 127.5) < 2
    assert np.abs(cut - 127.5).max() < 50


@pytest.mark.parametrize(
    ("scale", "degrees"), [(1.3, 0), (0.7, 20), (3.1, -35), (2.0, 80)], ids=str
)
@pytest.mark.parametrize("margin", [0.0, 0.4, 1.0])
def test_five_points_come_to_the_templates_places(scale, degrees, margin):
    found = placed(scale, degrees, (260, 250))
    points = np.reshape(found.points, (5, 2))
    crop = framing.crop(
        dots((500, 500), points, round(4 * scale)), found, 200, margin, "five_points"
    )
    square = crop_square(margin)
    expected = (TEMPLATE + 0.5 - (square.x0, square.y0)) * 200 / square.side - 0.5
    np.testing.assert_allclose(dot_centers(crop), expected, atol=0.6)


def test_a_crop_of_the_templates_scale_is_the_usual_warp_of_its_networks():
    photo = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 3)
    found = placed(1.0, 10, (150, 140))
    margin = 160 / FACE_SIDE - 1  # the crop shows 160 pixels of the template in 160 pixels
    crop = framing.crop(photo, found, 160, margin, "five_points").astype(int)
    matrix = similarity(np.reshape(found.points, (5, 2)))
    usual = cv2.warpAffine(photo, matrix, (112, 112)).astype(int)
    region = within_crop(ARCFACE, margin)
    x, y = region.x0 * 160, region.y0 * 160
    assert region.side * 160 == pytest.approx(112)
    shift = np.float32([[1, 0, -x], [0, 1, -y]])
    cut = cv2.warpAffine(crop.astype(np.uint8), shift, (112, 112)).astype(int)
    assert np.abs(cut - usual).max() <= 3


def test_five_points_of_a_portrait_come_close_to_the_template(detector):
    photo = turned(demo_photo(), 20)
    [found] = detector(photo[None], "mtcnn")[0]
    crop = framing.crop(photo, found, 300, 0.6, "five_points")
    [again] = detector(crop[None], "mtcnn")[0]
    square = crop_square(0.6)
    points = np.reshape(again.points, (5, 2)) * square.side / 300 + (square.x0, square.y0)
    assert np.abs(points - TEMPLATE).max() < 9
    assert abs(again.tilt) < 4


@pytest.mark.parametrize("side", [96, 250, 700])
def test_shrinking_to_five_points_averages_a_checkerboard_to_grey(side):
    board = np.indices((800, 800)).sum(0) % 2 * 255
    photo = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    found = placed(side / FACE_SIDE, 10, (400, 400))
    cut = framing.crop(photo, found, 32, 0, "five_points").astype(int)
    assert abs(cut.mean() - 127.5) < 2
    assert np.abs(cut - 127.5).max() < 50


MIRRORED = TEMPLATE[[1, 0, 2, 4, 3]]
UPSIDE_DOWN = np.array([56.0, 64.0]) + (TEMPLATE - (56, 64)) * (1, -1)
IN_A_LINE = np.column_stack([np.full(5, 56.0), TEMPLATE[:, 1]])


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 50.0),
        np.full((5, 2), 50.0) + np.eye(5, 2) * 1e-6,
        MIRRORED,
        UPSIDE_DOWN,
        TEMPLATE[[3, 4, 0, 2, 1]],
        TEMPLATE * 0.4 + 33,
        TEMPLATE * 2.2 - 70,
        TEMPLATE + np.array([60, 0]),
        TEMPLATE * np.nan,
    ],
    ids=[
        "coinciding",
        "almost coinciding",
        "mirrored",
        "upside down",
        "shuffled",
        "much smaller than the box",
        "much larger than the box",
        "outside the box",
        "not a number",
    ],
)
def test_unusable_points_fall_back_to_the_upright_box(points):
    photo = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    found = placed(1.5, 0, (150, 150), points)._replace(tilt=33.0)
    assert framing.aligning_transform(found) is None
    crop = framing.crop(photo, found, 64, 0.4, "five_points")
    assert (crop == framing.crop(photo, found, 64, 0.4, "none")).all()


@pytest.mark.parametrize("points", [IN_A_LINE, TEMPLATE * 0.7 + 18, TEMPLATE + 30], ids=str)
def test_profiles_and_imprecise_boxes_keep_their_points(points):
    assert framing.aligning_transform(placed(1.5, 0, (150, 150), points)) is not None


def test_a_face_without_points_is_framed_like_one_with_points():
    found = placed(2.0, 0, (200, 200))
    photo = dots((400, 400), np.reshape(found.points, (5, 2)), 8)
    with_points, without = (
        framing.crop(photo, face, 128, 0.4, "five_points")
        for face in (found, found._replace(points=()))
    )
    np.testing.assert_allclose(dot_centers(without), dot_centers(with_points), atol=1)


def test_points_change_no_crop_that_is_aligned_by_the_eyes_or_not_at_all():
    photo = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    found = placed(1.5, 12, (150, 150))._replace(tilt=11.0)
    for align in ("none", "eyes"):
        crop = framing.crop(photo, found, 64, 0.4, align)
        assert (crop == framing.crop(photo, found._replace(points=()), 64, 0.4, align)).all()
