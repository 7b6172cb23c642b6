import cv2
import numpy as np
import pytest
from tiny import demo_photo

from portrait18.importers import hand_shape, occluders

LEVEL = np.array([[155.0, 200], [225, 200], [190, 241], [161, 280], [219, 280]])
SKIN = (196, 150, 128)
NAMES = occluders.OCCLUDERS


def flat(height=560, width=384, color=SKIN):
    return np.full((height, width, 3), color, np.uint8)


def changed(drawn, color=SKIN):
    return np.abs(drawn.astype(int) - color).sum(-1) > 24


@pytest.mark.parametrize("name", NAMES)
def test_the_eyes_stay_free_and_the_lower_face_is_covered(name):
    mouths = []
    for seed in range(16):
        drawn = changed(occluders.draw(flat(), LEVEL, name, seed))
        assert not drawn[195:206, 150:231].any()
        assert drawn[320:].mean() > 0.04
        mouths.append(drawn[275:300, 165:216].mean() > 0.3)
    assert np.mean(mouths) > 0.5


def test_a_scarf_covers_chin_and_neck_and_sometimes_the_mouth():
    mouths = []
    for seed in range(24):
        photo = flat(color=(0, 0, 0))
        drawn = occluders.draw(photo, LEVEL, "scarf", seed).max(-1) > 0
        assert drawn[330:420, 150:230].mean() > 0.95
        mouths.append(drawn[275:290, 170:210].mean() > 0.5)
    assert 0.5 < np.mean(mouths) < 0.95


def test_a_hand_has_the_color_of_the_cheeks():
    for color in ((196, 150, 128), (92, 60, 46)):
        for seed in range(6):
            photo = flat(color=(40, 90, 160))
            cv2.ellipse(photo, (190, 250), (75, 75), 0, 0, 360, color, -1)
            drawn = occluders.draw(photo, LEVEL, "hand", seed).astype(float)
            hand = drawn[300:330, 150:230][changed(drawn[300:330, 150:230], (40, 90, 160))]
            middle = np.median(hand, axis=0)
            assert middle[0] > middle[1] > middle[2] - 8
            assert middle.sum() == pytest.approx(sum(color), rel=0.3)


@pytest.mark.parametrize("pose", hand_shape.POSES)
@pytest.mark.parametrize("side", [-1, 1])
def test_a_hand_comes_from_its_side_and_reaches_the_mouth_or_chin(pose, side):
    x, y = np.meshgrid(np.arange(-110, 111.0), np.arange(0, 231.0))
    for seed in range(5):
        hand = hand_shape.pose(pose, side, np.random.default_rng(seed))
        surface = hand_shape.render(hand, x, y)
        assert surface.cover[:12, 65:156].sum() == 0  # between the eyes' outer corners
        assert surface.cover[70:116, 90:131].mean() > 0.25
        arm = x[(surface.arm > 60) & (surface.cover > 0)]
        assert arm.size == 0 or side * arm.mean() > -30
        assert surface.height[surface.cover == 0].max() == 0


def test_fists_have_shorter_fingers_than_flat_hands():
    flat_hand, fist = (
        hand_shape.pose(name, 1, np.random.default_rng(0)).bars for name in ("cover", "rest")
    )
    assert fist[:, 4].min() > flat_hand[:, 4].min() + 15


@pytest.mark.parametrize("name", NAMES)
def test_equal_arguments_give_equal_bytes_and_seeds_differ(name):
    photo = demo_photo()
    before = photo.copy()
    first, again, other = (occluders.draw(photo, LEVEL, name, seed) for seed in (7, 7, 8))
    assert first.dtype == np.uint8
    assert first.shape == photo.shape
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(photo, before)
    assert (first != other).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [(-170, 0), (0, 200), (-900, 0)])
def test_it_is_clipped_at_the_edge_of_the_photo(name, shift):
    drawn = occluders.draw(flat(), LEVEL + shift, name, 1)
    assert drawn.shape == (560, 384, 3)
    assert changed(drawn).any() == (shift[0] > -900)


@pytest.mark.parametrize(
    ("points", "name", "message"),
    [
        (LEVEL, "fork", "'fork' must be one of"),
        (np.zeros((5, 2)), "hand", "not those of a frontal face"),
    ],
)
def test_bad_arguments_are_refused(points, name, message):
    with pytest.raises(ValueError, match=message):
        occluders.draw(flat(), points, name, 0)
