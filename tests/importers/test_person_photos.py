import cv2
import numpy as np
import pytest
from tiny import demo_photo

from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.importers import person_photos
from portrait18.importers.mask_styles import VARIETIES, WAYS

POINTS = np.array([[77.0, 90], [112, 90], [95, 111], [80, 130], [110, 130]])


def test_masks_depend_on_seed_and_person():
    photo = cv2.resize(demo_photo(), (192, 256), interpolation=cv2.INTER_AREA)
    varied = VARIETIES["varied"]
    one, again = (person_photos.draw(photo, POINTS, (1, "a"), varied) for _ in range(2))
    assert list(one) == list(MASK_BY_STEM)
    assert all((one[s] == again[s]).all() for s in MASK_BY_STEM)
    assert len({p.tobytes() for p in one.values()}) == 7
    for key in ((2, "a"), (1, "b")):
        assert all(
            (one[s] != p).any() for s, p in person_photos.draw(photo, POINTS, key, varied).items()
        )


def test_a_share_of_the_bare_faces_has_a_hand_or_a_scarf(monkeypatch):
    photo = np.full((256, 192, 3), (190, 140, 120), np.uint8)
    monkeypatch.setattr(person_photos, "MASK_BY_STEM", {"normal": 2})
    changed = {}
    for name, variety in VARIETIES.items():
        faces = [
            person_photos.draw(photo, POINTS, (0, str(n)), variety)["normal"] for n in range(60)
        ]
        changed[name] = np.mean([np.ptp(face[:, 40:150].mean(-1)) > 30 for face in faces])
    assert changed["simple"] == 0
    assert changed["varied"] == pytest.approx(VARIETIES["varied"].occluded, abs=0.12)


@pytest.mark.parametrize("name", list(VARIETIES))
def test_incorrect_masks_are_worn_in_the_ways_of_the_variety(name, monkeypatch):
    ways = []
    monkeypatch.setattr(
        person_photos.mask_drawing,
        "draw",
        lambda photo, points, worn, seed, variety: ways.append(worn) or photo,
    )
    monkeypatch.setattr(person_photos, "MASK_BY_STEM", {"incorrect_mask": 1, "mask1": 0})
    for n in range(200):
        person_photos.draw(
            np.zeros((64, 64, 3), np.uint8), POINTS / 4, (0, str(n)), VARIETIES[name]
        )
    assert ways[1::2] == ["worn"] * 200
    shares = [ways[::2].count(way) / 200 for way in WAYS[1:]]
    assert shares == pytest.approx(VARIETIES[name].incorrect, abs=0.1)
