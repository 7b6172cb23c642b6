from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny import CONTEXT_BOX, shot

from portrait18.core import params
from portrait18.core.errors import UserError
from portrait18.core.params import GroupParams
from portrait18.cropping import context
from portrait18.dataset import tables
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import near_duplicates
from stages import group


def test_nearest_neighbors_equal_a_comparison_of_all_pairs(monkeypatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    table = np.random.default_rng(0).integers(-127, 128, (40, 144)).astype(np.int8)
    table[11] = table[30] = table[3]
    table[5], table[6] = -127, 127
    wide = table.astype(np.int64)
    squared = ((wide[:, None] - wide) ** 2).sum(2)
    rows, distances = near_duplicates.nearest_neighbors(table, 4)
    for i in range(40):
        order = [j for j in np.argsort(squared[i], kind="stable") if j != i][:4]
        assert rows[i].tolist() == order
        assert distances[i].tolist() == squared[i, order].tolist()


def test_links_are_mutual_below_the_threshold_and_closest_first():
    line = np.zeros((5, 4), np.int8)
    line[:, 0] = [0, 1, 3, 20, 100]  # 20's nearest is 3, whose nearest is 1
    assert near_duplicates.mutual_links(line, 1000, 2).tolist() == [[0, 1]]
    assert near_duplicates.mutual_links(line, 1000, 3).tolist() == [[0, 1], [1, 2], [0, 2]]
    # root mean square over four numbers: a difference of 2 in one of them is 1
    assert near_duplicates.mutual_links(line, 1.0, 3).tolist() == [[0, 1], [1, 2]]
    assert near_duplicates.mutual_links(line, 0.99, 3).tolist() == [[0, 1]]


@pytest.mark.parametrize("total", [0, 1])
def test_fewer_than_two_photos_have_no_links(total):
    found = near_duplicates.mutual_links(np.zeros((total, 144), np.int8), 10, 7)
    assert found.shape == (0, 2)
    assert near_duplicates.join_links(total, found, 7).tolist() == [0] * total


def test_groups_grow_along_the_closest_links_up_to_the_limit():
    chain = np.array([[3, 4], [0, 1], [1, 2], [2, 3]])
    assert near_duplicates.join_links(6, chain, 7).tolist() == [0, 0, 0, 0, 0, 1]
    assert near_duplicates.join_links(6, chain, 3).tolist() == [0, 0, 0, 1, 1, 2]
    assert near_duplicates.join_links(6, chain, 2).tolist() == [0, 0, 1, 2, 2, 3]
    assert near_duplicates.join_links(6, chain[::-1], 3).tolist() == [0, 1, 1, 1, 2, 3]


def people(sizes):
    """Descriptors of shuffled photos of people, and the person of each photo."""
    who = [(person, n) for person, size in enumerate(sizes) for n in range(size)]
    order = np.random.default_rng(3).permutation(len(who))
    descriptors = np.stack([context.descriptor(shot(*who[at]), CONTEXT_BOX) for at in order])
    return descriptors, np.array([who[at][0] for at in order])


def same_partition(one, other):
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def group_params(by="near_duplicate", threshold=22.0, max_size=7, column="person"):
    return GroupParams(
        by=by, column=column, threshold=threshold, max_size=max_size, weights="equal"
    )


def test_photos_of_one_sitting_form_a_group():
    descriptors, who = people([7, 5, 3, 2, 1, 1])
    found = near_duplicates.by_descriptor(descriptors, 22.0, 7)
    assert same_partition(found, who)
    assert list(dict.fromkeys(found)) == list(range(6))
    assert np.bincount(near_duplicates.by_descriptor(descriptors, 22.0, 3)).max() == 3
    assert len(set(near_duplicates.by_descriptor(descriptors, 0.01, 7))) == len(who)


def test_undecodable_photos_form_their_own_groups():
    descriptors, who = people([4, 3])
    descriptors[[2, 5]] = 0
    who[[2, 5]] = [8, 9]
    assert same_partition(near_duplicates.by_descriptor(descriptors, 22.0, 7), who)


INFO = "ImageID,ans,person\nb.jpg,0,NA\na.jpg,0,\nc.jpg,0,NA\nd.jpg,0,\ne.jpg,0,007\nf.jpg,0,7\n"


def column(tmp_path, photos, name, info=INFO):
    (tmp_path / "info.csv").write_text(info)
    return near_duplicates.by_column(pd.Series(photos), tmp_path / "info.csv", name).tolist()


def test_column_cells_are_text_and_empty_cells_form_their_own_groups(tmp_path):
    assert column(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"], "person") == [
        0,
        1,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("name", ["persn", "ans", "ImageID", ""])
def test_an_unusable_column_is_rejected_in_one_line(tmp_path, name):
    with pytest.raises(
        UserError, match=rf"^params.yaml: group.column = '{name}' .* has person; .*none$"
    ):
        column(tmp_path, ["a.jpg"], name)
    with pytest.raises(UserError, match="no column but ImageID and ans"):
        column(tmp_path, ["a.jpg"], name, "ImageID,ans\na.jpg,0\n")


def test_photos_without_a_row_are_all_named(tmp_path):
    with pytest.raises(UserError) as caught:
        column(tmp_path, ["a.jpg", "x.jpg", "y.jpg"], "person")
    assert len(caught.value.problems) == 2
    assert "no row for x.jpg" in caught.value.problems[0]


@pytest.mark.parametrize("by", ["none", "near_duplicate", "column"])
def test_the_stage_groups_both_sets(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    sizes = {"train": [4, 2], "eval": [3, 1, 1]}
    who = {}
    for name, set_sizes in sizes.items():
        descriptors, who[name] = people(set_sizes)
        photos = pd.DataFrame({"photo": [f"{i}.jpg" for i in range(len(descriptors))]})
        write_csv(
            photos.assign(person=who[name]) if name == "train" else photos,
            f"data/photos/{name}.csv",
        )
        Path("data/crops").mkdir(exist_ok=True)
        np.save(f"data/crops/{name}_context.npy", descriptors)
    Path("eval").mkdir()
    rows = [f"{i}.jpg,0,{person}" for i, person in enumerate(who["eval"])]
    Path("eval/info.csv").write_text("\n".join(["ImageID,ans,person", *rows]))
    section = SimpleNamespace(group=group_params(by), data=SimpleNamespace(root=Path(".")))
    monkeypatch.setattr(params, "load", lambda: section)
    group.main()
    table = tables.read("data/groups.csv").set_index("set")
    for name, set_name in (("train", "validation"), ("eval", "eval")):
        found = table.loc[set_name].group
        assert same_partition(found, range(len(found)) if by == "none" else who[name])
