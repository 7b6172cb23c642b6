from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from portrait18 import lookalikes, params, tables
from portrait18.errors import UserError
from portrait18.files import write_csv
from stages import group

HEIGHT, WIDTH, BOX = 120, 96, (30.0, 20.0, 66.0, 70.0)


def sitting(person: int) -> np.ndarray:
    """A place and clothes: coarse patches of colour, float (H, W, 3)."""
    patches = np.random.default_rng([1, person]).uniform(30, 220, (6, 6, 3))
    return patches.repeat(HEIGHT // 6, 0).repeat(WIDTH // 6, 1)


def shot(person: int, n: int) -> np.ndarray:
    """One photo of a sitting: its own light, noise and, where the face is, anything at all."""
    rng = np.random.default_rng([2, person, n])
    photo = sitting(person) * rng.uniform(0.9, 1.1) + rng.uniform(-8, 8) + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
    photo[20:70, 30:66] = rng.uniform(0, 255, 3)
    return photo.clip(0, 255).astype(np.uint8)


def test_the_descriptor_is_blind_to_the_face_and_sees_what_lies_around_it():
    photo = shot(0, 0)
    before = lookalikes.descriptor(photo, BOX).astype(int)
    assert before.shape == (lookalikes.NUMBERS,) == (3 * (12 + 12 + 24),)
    other_face = photo.copy()
    other_face[20:70, 30:66] = 255 - photo[20:70, 30:66]
    assert (lookalikes.descriptor(other_face, BOX) == before).all()
    for strip, cells in (
        ((slice(0, 70), slice(0, 30)), slice(0, 36)),
        ((slice(0, 70), slice(66, 96)), slice(36, 72)),
        ((slice(70, 120), slice(0, 96)), slice(72, 144)),
    ):
        changed = photo.copy()
        changed[strip] = 255 - photo[strip]
        moved = np.abs(lookalikes.descriptor(changed, BOX) - before)
        assert moved[cells].mean() > 3 * np.delete(moved, np.r_[cells]).mean()


def test_the_descriptor_moves_with_the_face_and_hardly_with_the_light():
    def distance(a, b):
        return np.sqrt(((a.astype(float) - b) ** 2).mean())

    first = lookalikes.descriptor(shot(0, 0), BOX)
    assert distance(first, lookalikes.descriptor(shot(0, 1), BOX)) < 8
    assert distance(first, lookalikes.descriptor(shot(1, 0), BOX)) > 40
    white_left = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    white_left[:, :40] = 255
    left, below = slice(0, 36), slice(72, 144)
    wide = lookalikes.descriptor(white_left, (40, 20, 76, 70)).astype(int)
    assert np.ptp(wide[left]) == 0 and wide[left].min() > 0 and wide[36:72].max() < 0
    assert np.ptp(wide[below]) > 0


@pytest.mark.parametrize("box", [(-20, -20, 120, 200), (0, 0, 0, 0), (96, 120, 96, 120), (90, 5, 300, 400)])
def test_a_box_over_the_border_leaves_thin_strips(box):
    for shape in ((HEIGHT, WIDTH), (20, 20), (20, 500)):
        photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        assert lookalikes.descriptor(photo, box).shape == (lookalikes.NUMBERS,)


def test_nearest_is_what_comparing_all_pairs_gives(monkeypatch):
    monkeypatch.setattr(lookalikes, "BLOCK", 7)
    table = np.random.default_rng(0).integers(-127, 128, (40, 144)).astype(np.int8)
    table[11] = table[30] = table[3]
    table[5], table[6] = -127, 127
    wide = table.astype(np.int64)
    squared = ((wide[:, None] - wide) ** 2).sum(2)
    rows, distances = lookalikes.nearest(table, 4)
    for i in range(40):
        order = [j for j in np.argsort(squared[i], kind="stable") if j != i][:4]
        assert rows[i].tolist() == order and distances[i].tolist() == squared[i, order].tolist()


def test_links_are_mutual_near_enough_and_closest_first():
    line = np.zeros((5, 4), np.int8)
    line[:, 0] = [0, 1, 3, 20, 100]  # 20's nearest is 3, whose nearest is 1
    assert lookalikes.links(line, 1000, 2).tolist() == [[0, 1]]
    assert lookalikes.links(line, 1000, 3).tolist() == [[0, 1], [1, 2], [0, 2]]
    # root mean square over four numbers: a difference of 2 in one of them is 1
    assert lookalikes.links(line, 1.0, 3).tolist() == [[0, 1], [1, 2]]
    assert lookalikes.links(line, 0.99, 3).tolist() == [[0, 1]]


@pytest.mark.parametrize("total", [0, 1])
def test_nothing_to_link(total):
    found = lookalikes.links(np.zeros((total, 144), np.int8), 10, 7)
    assert found.shape == (0, 2) and lookalikes.join(total, found, 7).tolist() == [0] * total


def test_groups_grow_along_the_closest_links_up_to_the_largest():
    chain = np.array([[3, 4], [0, 1], [1, 2], [2, 3]])
    assert lookalikes.join(6, chain, 7).tolist() == [0, 0, 0, 0, 0, 1]
    assert lookalikes.join(6, chain, 3).tolist() == [0, 0, 0, 1, 1, 2]
    assert lookalikes.join(6, chain, 2).tolist() == [0, 0, 1, 2, 2, 3]
    assert lookalikes.join(6, chain[::-1], 3).tolist() == [0, 1, 1, 1, 2, 3]


def people(root, sizes):
    """Write shots of people, shuffled, into root/eval/images; returns inventory, boxes, person of each photo."""
    (root / "eval/images").mkdir(parents=True)
    who = [(person, n) for person, size in enumerate(sizes) for n in range(size)]
    order = np.random.default_rng(3).permutation(len(who))
    names = [f"{i:03d}.png" for i in range(len(who))]
    for name, at in zip(names, order, strict=True):
        Image.fromarray(shot(*who[at])).save(root / "eval/images" / name)
    inventory = pd.DataFrame({"photo": names, "width": WIDTH, "height": HEIGHT, "digest": ""})
    boxes = pd.DataFrame([(name, *BOX) for name in names], columns=["photo", "x0", "y0", "x1", "y1"])
    return inventory, boxes, np.array([who[at][0] for at in order])


def same_partition(one, other):
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def lookalike(inventory, boxes, root, threshold=22.0, largest=7):
    return lookalikes.groups(inventory, boxes, root, "lookalike", "", threshold, largest).group


def test_photos_of_one_sitting_are_found_among_others(tmp_path):
    inventory, boxes, who = people(tmp_path, [7, 5, 3, 2, 1, 1])
    found = lookalike(inventory, boxes, tmp_path)
    assert same_partition(found, who)
    assert found.drop_duplicates().tolist() == list(range(6))
    assert found.tolist() == lookalike(inventory, boxes, tmp_path).tolist()
    assert lookalike(inventory, boxes, tmp_path, largest=3).value_counts().max() == 3
    assert lookalike(inventory, boxes, tmp_path, threshold=0.01).nunique() == len(who)


def test_a_photo_that_cannot_be_decoded_stays_alone(tmp_path):
    inventory, boxes, who = people(tmp_path, [4, 3])
    (tmp_path / "eval/images" / inventory.photo[2]).write_bytes(b"")
    with pytest.raises(UserError, match=r"002\.png .*run dvc repro check$"):
        lookalike(inventory, boxes, tmp_path)
    inventory.loc[2, ["width", "height"]] = 0
    who[2] = 9
    assert same_partition(lookalike(inventory, boxes, tmp_path), who)


def test_boxes_of_other_photos_are_refused(tmp_path):
    inventory, boxes, _ = people(tmp_path, [2])
    with pytest.raises(UserError, match="run dvc repro crop"):
        lookalike(inventory, boxes[::-1], tmp_path)


def test_none_leaves_every_photo_alone(tmp_path):
    inventory, boxes, _ = people(tmp_path, [3])
    assert lookalikes.groups(inventory, boxes, tmp_path, "none", "", 22, 7).group.tolist() == [0, 1, 2]


INFO = "ImageID,ans,person\nb.jpg,0,NA\na.jpg,0,\nc.jpg,0,NA\nd.jpg,0,\ne.jpg,0,007\nf.jpg,0,7\n"


def column(tmp_path, photos, name, info=INFO):
    (tmp_path / "info.csv").write_text(info)
    return lookalikes.by_column(pd.Series(photos), tmp_path / "info.csv", name).tolist()


def test_a_column_tells_the_person_as_text_and_an_empty_cell_tells_nobody(tmp_path):
    assert column(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"], "person") == [0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["persn", "ans", "ImageID", ""])
def test_a_column_that_tells_nobody_is_refused_in_one_line(tmp_path, name):
    with pytest.raises(UserError, match=rf"^params.yaml: group.column = '{name}' .* has person; .*none$"):
        column(tmp_path, ["a.jpg"], name)
    with pytest.raises(UserError, match="no column but ImageID and ans"):
        column(tmp_path, ["a.jpg"], name, "ImageID,ans\na.jpg,0\n")


def test_photos_without_a_row_are_all_named(tmp_path):
    with pytest.raises(UserError) as caught:
        column(tmp_path, ["a.jpg", "x.jpg", "y.jpg"], "person")
    assert len(caught.value.problems) == 2 and "no row for x.jpg" in caught.value.problems[0]


def test_averaged_is_the_mean_of_each_group_on_every_photo_of_it():
    table = pd.DataFrame({"photo": ["c", "a", "b"], "male": [0.9, 0.2, 0.4], "female": [0.1, 0.8, 0.6], "mask": 0.5})
    groups = pd.DataFrame({"photo": ["a", "b", "c", "d"], "group": [1, 0, 1, 0]})
    before = table.copy()
    found = lookalikes.averaged(table, groups, ["male", "female"])
    np.testing.assert_allclose(found[["male", "female"]], [[0.55, 0.45], [0.55, 0.45], [0.4, 0.6]])
    assert found.photo.tolist() == ["c", "a", "b"] and (found["mask"] == 0.5).all()
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("by", ["none", "lookalike"])
def test_the_stage_writes_a_row_for_every_photo(tmp_path, monkeypatch, by):
    inventory, boxes, who = people(tmp_path / "set", [4, 2, 1])
    monkeypatch.chdir(tmp_path)
    write_csv(inventory, "data/photos/eval.csv")
    write_csv(boxes, "data/crops/eval.csv")
    asked = SimpleNamespace(by=by, column="", threshold=22.0, largest=7)
    told = SimpleNamespace(group=asked, data=SimpleNamespace(root=tmp_path / "set"))
    monkeypatch.setattr(params, "load", lambda: told)
    group.main()
    table = tables.read("data/groups.csv")
    assert list(table) == ["photo", "group"] and table.photo.tolist() == inventory.photo.tolist()
    assert same_partition(table.group, who if by == "lookalike" else inventory.photo)
