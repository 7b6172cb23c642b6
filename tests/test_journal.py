import numpy as np
import pytest
from cropping import equal_files
from tiny import crop_params

from portrait18 import crops, journal


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    missed = {3: "both", 6: "both"}
    find(missed=missed)
    build(inventory, to="undisturbed")
    find(missed=missed, stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    assert not (tmp_path / "store").exists()
    finder = find(missed=missed)
    build(inventory)
    assert set(finder.seen) == {4, 5, 6}
    assert equal_files(tmp_path, "store", "undisturbed")
    assert not any((tmp_path / "work-store").iterdir())


def test_a_journal_line_cut_off_by_a_kill_costs_one_chunk_only(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    for stop_at, rest in ((2, '[2, [["mtcnn", 10.'), (6, "")):
        find(stop_at=stop_at)
        with pytest.raises(KeyboardInterrupt):
            build(inventory)
        with open(tmp_path / "work-store/rows.jsonl", "a") as file:
            file.write(rest)
    finder = find()
    build(inventory)
    assert finder.seen == [6] and equal_files(tmp_path, "store", "undisturbed")


@pytest.mark.parametrize("change", ["params", "inventory"])
def test_work_for_other_inputs_is_thrown_away(inventory, build, find, tmp_path, monkeypatch, change):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    params = crop_params(margin=0.8) if change == "params" else crop_params()
    inventory = inventory.iloc[::-1].reset_index(drop=True) if change == "inventory" else inventory
    finder = find()
    build(inventory, params)
    assert sorted(finder.seen) == list(range(7))
    build(inventory, params, to="undisturbed")
    assert equal_files(tmp_path, "store", "undisturbed")


def test_a_kill_while_work_is_thrown_away_leaves_no_wrong_pixels(inventory, build, find, tmp_path, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find()
    build(inventory, to="undisturbed")
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)

    create = np.lib.format.open_memmap

    def killed(*args, **kwargs):
        create(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np.lib.format, "open_memmap", killed)
        build(inventory, crop_params(margin=0.8))
    find()
    build(inventory)
    assert equal_files(tmp_path, "store", "undisturbed")


def test_work_of_other_code_is_not_gone_on_with(inventory, build, find, monkeypatch):
    monkeypatch.setattr(crops, "CHUNK", 2)
    find(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        build(inventory)
    monkeypatch.setattr(journal, "code_digest", lambda: "changed")
    finder = find()
    build(inventory)
    assert sorted(finder.seen) == list(range(7))
