import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from portrait18 import checkpoints

HISTORY = [{"epoch": 0, "loss": 0.1 + 0.2}, {"epoch": 1, "loss": 1 / 3}]


def parts(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(seed):
        network(torch.randn(5, 3)).square().sum().backward()
        optimizer.step()
    return {"network": network, "optimizer": optimizer}


@pytest.fixture
def written(tmp_path):
    checkpoints.save(tmp_path / "sub/run.pt", "same", parts(3), HISTORY, {"w": torch.arange(3.0)})
    return tmp_path / "sub/run.pt"


def text(state):
    return repr({name: part.state_dict() for name, part in state.items()})


def test_everything_comes_back_as_it_was_saved(written):
    fresh = parts(1)
    history, best = checkpoints.resume(written, "same", fresh)
    assert history == HISTORY and best["w"].tolist() == [0, 1, 2]
    assert text(fresh) == text(parts(3)) != text(parts(1))


def test_without_a_file_there_is_nothing_to_go_on_from(tmp_path):
    assert checkpoints.resume(tmp_path / "none.pt", "same", parts(1)) == ([], None)


def test_work_for_other_inputs_is_ignored(written):
    fresh = parts(1)
    assert checkpoints.resume(written, "other", fresh) == ([], None)
    assert text(fresh) == text(parts(1))


@pytest.mark.parametrize("damage", ["empty", "text", "zeros", "short", "end missing"])
def test_a_damaged_file_means_starting_anew_and_says_so(written, capsys, damage):
    good = written.read_bytes()
    bad = {"empty": b"", "text": b"hello", "zeros": bytes(len(good)), "short": good[:100], "end missing": good[:-30]}
    written.write_bytes(bad[damage])
    fresh = parts(1)
    assert checkpoints.resume(written, "same", fresh) == ([], None)
    assert text(fresh) == text(parts(1))
    said = capsys.readouterr().out
    assert said.startswith(f"{written} is damaged") and said.endswith("starting this training anew\n")


def test_a_save_that_fails_leaves_the_earlier_one(written):
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(written, "same", parts(2), [{"epoch": lambda: None}], {})
    assert checkpoints.resume(written, "same", parts(1))[0] == HISTORY
    assert [p.name for p in written.parent.iterdir()] == ["run.pt"]


def test_the_fingerprint_depends_on_every_input(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (1030, 2, 2, 3), np.uint8)
    labels, fold_of = pd.DataFrame({"age": range(1030)}), np.arange(1030) % 5
    usual = checkpoints.fingerprint(crops, labels, fold_of, {"lr": 0.1}, 0, 0)
    np.save(tmp_path / "crops.npy", crops)
    mapped = np.load(tmp_path / "crops.npy", mmap_mode="r")
    assert checkpoints.fingerprint(mapped, labels, fold_of, {"lr": 0.1}, 0, 0) == usual
    other_crops, other_folds = crops.copy(), fold_of.copy()
    other_crops[1029, 1, 1, 2] ^= 1
    other_folds[-1] += 1
    others = [
        (other_crops, labels, fold_of, {"lr": 0.1}, 0, 0),
        (crops, labels.assign(age=labels.age + 1), fold_of, {"lr": 0.1}, 0, 0),
        (crops, labels, other_folds, {"lr": 0.1}, 0, 0),
        (crops, labels, fold_of, {"lr": 0.2}, 0, 0),
        (crops, labels, fold_of, {"lr": 0.1}, 1, 0),
        (crops, labels, fold_of, {"lr": 0.1}, 0, 1),
    ]
    assert len({usual, *(checkpoints.fingerprint(*o) for o in others)}) == 7
