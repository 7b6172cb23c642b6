import cv2
import numpy as np
import pytest
from face_points import LEVEL, TURNED
from tiny import demo_photo

from portrait18.importers import mask_drawing, mask_styles

FLAT = (110, 20, 120)  # no mask has this color


def flat(height=480, width=384):
    return np.full((height, width, 3), FLAT, np.uint8)


def change(drawn, point):
    """Return the least and the largest change of the pixels around a point, 0 to 765."""
    x, y = np.rint(point).astype(int)
    differs = np.abs(drawn[y - 1 : y + 2, x - 1 : x + 2].astype(int) - FLAT).sum(-1)
    return differs.min(), differs.max()


def area(drawn):
    return (np.abs(drawn.astype(int) - FLAT).sum(-1) > 60).astype(np.uint8)


def places(points):
    left, right, nose, left_mouth, right_mouth = points
    eyes, mouth = (left + right) / 2, (left_mouth + right_mouth) / 2
    chin = eyes + 1.45 * (mouth - eyes)
    return {
        "eyes": [left, right],
        "nose": [nose],
        "mouth": [left_mouth, right_mouth, mouth],
        "chin": [chin],
    }


def only(kind):
    """Return a variety of one kind of mask."""
    kinds = tuple(float(kind == name) for name in mask_styles.KINDS)
    return mask_styles.Variety(kinds, (0.25,) * 4, 0.0, 1.0)


@pytest.mark.parametrize("kind", [k for k in mask_styles.KINDS if k != "transparent"])
@pytest.mark.parametrize("points", [LEVEL, TURNED], ids=["level", "turned"])
@pytest.mark.parametrize(
    ("worn", "covered"),
    [
        ("worn", ("nose", "mouth", "chin")),
        ("nose", ("mouth", "chin")),
        ("lips", ("chin",)),
        ("chin", ("chin",)),
        ("ear", ()),
    ],
)
def test_each_way_of_wearing_covers_only_its_places(worn, covered, points, kind):
    for seed in range(4):
        drawn = mask_drawing.draw(flat(), points, worn, seed, only(kind))
        check_places(drawn, points, covered)


def check_places(drawn, points, covered):
    for name, spots in places(points).items():
        for spot in spots:
            least, most = change(drawn, spot)
            assert least > 60 if name in covered else most < 50, name


def test_under_the_lips_ends_higher_than_on_the_chin():
    tops = [
        [np.flatnonzero(area(mask_drawing.draw(flat(), LEVEL, worn, s))[:, 190])[0] for s in seeds]
        for worn, seeds in (("lips", range(8)), ("chin", range(8)))
    ]
    assert max(tops[0]) < min(tops[1])


@pytest.mark.parametrize("points", [LEVEL, TURNED], ids=["level", "turned"])
def test_a_hanging_mask_is_beside_the_face_below_the_ear(points):
    left, right = points[0], points[1]
    sides = set()
    for seed in range(8):
        rows, columns = np.nonzero(area(mask_drawing.draw(flat(700), points, "ear", seed)))
        middle = float(np.median(columns))
        assert middle < left[0] or middle > right[0]
        assert rows.min() > left[1] - 20
        assert rows.max() - rows.min() > 2 * (right[0] - left[0]) * 0.9
        sides.add(middle < left[0])
    assert len(sides) == (2 if points is LEVEL else 1)  # a turned face shows one ear only


def test_the_mouth_is_seen_through_a_transparent_mask_and_its_rim_is_not_clear():
    photo = flat()
    photo[275:290, 165:215] = (250, 20, 20)
    for seed in range(4):
        drawn = mask_drawing.draw(photo, LEVEL, "worn", seed, only("transparent")).astype(int)
        lips, skin = drawn[278:287, 175:205], drawn[250:262, 175:205]
        assert (lips[..., 0].mean() - skin[..., 0].mean()) > 15
        assert area(drawn)[225:345, 150:230].any()


def test_no_transparent_mask_hangs_on_the_chin():
    rng = np.random.default_rng(0)
    kinds = {mask_styles.draw_style(only("transparent"), "chin", rng).kind for _ in range(5)}
    assert kinds == {"surgical"}


def test_varied_masks_differ_more_in_shape_and_kind_than_simple_ones():
    counts, spreads = [], []
    for variety in (mask_styles.VARIETIES["simple"], mask_styles.VARIETIES["varied"]):
        rng = np.random.default_rng(3)
        styles = [mask_styles.draw_style(variety, "worn", rng) for _ in range(200)]
        counts.append(len({s.kind for s in styles}))
        drawn = [
            area(mask_drawing.draw(flat(), LEVEL, "worn", seed, variety)).sum()
            for seed in range(24)
        ]
        spreads.append(np.std(drawn))
    assert counts == [4, 7]
    assert spreads[1] > 1.3 * spreads[0]


def test_a_blurred_photo_gets_a_blurred_mask():
    rng = np.random.default_rng(0)
    sharp = cv2.resize(
        rng.integers(0, 255, (160, 128, 3)).astype(np.uint8), (384, 480), interpolation=0
    )
    steps = []
    for photo in (sharp, cv2.GaussianBlur(sharp, (0, 0), 2.5)):
        black = mask_drawing.draw(photo, LEVEL, "worn", 1).astype(int)
        changed = np.abs(black - photo).max(-1) > 3
        column = black[:, 190].sum(-1)
        top = np.flatnonzero(changed[:, 190])[0]
        steps.append(np.abs(np.diff(column[top - 4 : top + 9])).max())
    assert steps[1] < 0.6 * steps[0]


def test_the_background_and_the_neck_do_not_change():
    drawn = mask_drawing.draw(flat(), LEVEL, "worn", 1)
    assert (drawn[:180] == FLAT).all()
    assert (drawn[360:] == FLAT).all()
    assert (drawn[:, :80] == FLAT).all()
    assert (drawn[:, 300:] == FLAT).all()


@pytest.mark.parametrize("degrees", [35, -35, 90])
@pytest.mark.parametrize("worn", mask_styles.WAYS)
def test_turning_the_points_turns_the_mask(worn, degrees):
    matrix = cv2.getRotationMatrix2D((192, 240), degrees, 1)
    photo = flat(480, 384)
    level = area(mask_drawing.draw(photo, TURNED, worn, 5))
    turned = area(mask_drawing.draw(photo, TURNED @ matrix[:, :2].T + matrix[:, 2], worn, 5))
    expected = cv2.warpAffine(level, matrix, (384, 480), flags=cv2.INTER_NEAREST)
    assert level.sum() > 1500
    assert (expected & turned).sum() / (expected | turned).sum() > 0.9


def test_a_face_twice_as_large_wears_a_mask_twice_as_large():
    small = area(mask_drawing.draw(flat(), LEVEL, "worn", 5)).sum()
    large = area(mask_drawing.draw(flat(960, 768), LEVEL * 2, "worn", 5)).sum()
    assert large / small == pytest.approx(4, rel=0.06)


def test_a_mirrored_face_is_turned_the_other_way():
    mirrored = TURNED[[1, 0, 2, 4, 3]] * (-1, 1) + (383, 0)
    seen = []
    for points in (TURNED, mirrored):
        columns = np.flatnonzero(area(mask_drawing.draw(flat(), points, "worn", 5)).any(0))
        middle = points[2, 0]
        seen.append((middle - columns[0], columns[-1] - middle))
    assert seen[0][0] > seen[0][1] + 10  # the nose points to the right: the left side is the wider
    assert seen[1] == pytest.approx(seen[0][::-1], abs=6)


def test_equal_arguments_give_equal_bytes_and_do_not_change_the_photo():
    photo = demo_photo()
    before = photo.copy()
    first, second = (mask_drawing.draw(photo, LEVEL, "worn", 7) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == photo.shape
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(photo, before)


def test_seeds_draw_several_colors():
    middles = {
        tuple(mask_drawing.draw(flat(), LEVEL, "worn", seed)[262, 178] // 32) for seed in range(16)
    }
    assert len(middles) >= 4


def test_cloth_is_darker_in_a_darker_photo():
    light, dark = (np.full((480, 384, 3), grey, np.uint8) for grey in (190, 90))
    for seed in range(3):
        bright, dim = (
            mask_drawing.draw(p, LEVEL, "worn", seed)[220:300, 150:230].mean()
            for p in (light, dark)
        )
        assert dim < 0.8 * bright


def test_edges_are_soft():
    drawn = mask_drawing.draw(np.zeros((480, 384, 3), np.uint8), LEVEL, "worn", 0)
    column = drawn[300:345, 190].max(-1).astype(int)
    inside = column[:5].min()
    assert ((column > 0.1 * inside) & (column < 0.8 * inside)).any()


@pytest.mark.parametrize("shift", [(-150, 0), (150, 0), (0, 180), (-900, 0)])
def test_a_mask_is_clipped_at_the_edge_of_the_photo(shift):
    whole = mask_drawing.draw(
        np.full((1400, 2400, 3), 90, np.uint8), LEVEL + np.array([1000, 500]), "worn", 3
    )
    drawn = mask_drawing.draw(np.full((480, 384, 3), 90, np.uint8), LEVEL + shift, "worn", 3)
    assert drawn.shape == (480, 384, 3)
    x, y = 1000 - shift[0], 500 - shift[1]
    same = (whole[y : y + 480, x : x + 384] != 90).any(-1) == (drawn != 90).any(-1)
    assert same.mean() > 0.97


@pytest.mark.parametrize(
    ("points", "worn", "message"),
    [
        (LEVEL, "mouth", "'mouth' must be one of"),
        (np.zeros((5, 2)), "worn", "not those of a frontal face"),
        (LEVEL * np.nan, "worn", "not those of a frontal face"),
    ],
)
def test_bad_arguments_are_refused(points, worn, message):
    with pytest.raises(ValueError, match=message):
        mask_drawing.draw(flat(), points, worn, 0)
