import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from planted import Planted
from torch import nn

from portrait18.training import checkpoints
from portrait18.training.data import TrainingData

BEST = {"weight": torch.arange(3.0)[None]}
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
def checkpoint(tmp_path):
    checkpoints.save(tmp_path / "sub/run.pt", "same", parts(3), HISTORY, BEST)
    return tmp_path / "sub/run.pt"


def resume(path, fingerprint, fresh):
    return checkpoints.resume(path, fingerprint, fresh, nn.Linear(3, 1, bias=False))


def text(state):
    return repr({name: part.state_dict() for name, part in state.items()})


def test_everything_is_restored_as_it_was_saved(checkpoint):
    fresh = parts(1)
    history, best = resume(checkpoint, "same", fresh)
    assert history == HISTORY
    assert best["weight"].tolist() == [[0, 1, 2]]
    assert text(fresh) == text(parts(3)) != text(parts(1))


def test_without_a_file_there_is_nothing_to_resume(tmp_path):
    assert resume(tmp_path / "none.pt", "same", parts(1)) == ([], {})


def test_a_checkpoint_of_other_inputs_is_ignored(checkpoint):
    fresh = parts(1)
    assert resume(checkpoint, "other", fresh) == ([], {})
    assert text(fresh) == text(parts(1))


def assert_restarts(path, capsys):
    fresh = parts(1)
    assert resume(path, "same", fresh) == ([], {})
    assert text(fresh) == text(parts(1)), "nothing of the damaged state may be kept"
    output = capsys.readouterr().out
    assert output.startswith(f"{path} is damaged")
    assert output.endswith("restarting this training\n")
    assert output.count("\n") == 1


@pytest.mark.parametrize("damage", ["empty", "text", "zeros", "short", "end missing", "bit"])
def test_a_damaged_checkpoint_restarts_training_with_a_message(checkpoint, capsys, damage):
    good = checkpoint.read_bytes()
    at = good.index(torch.arange(3.0).numpy().tobytes()) + 6
    bad = {
        "empty": b"",
        "text": b"hello",
        "zeros": bytes(len(good)),
        "short": good[:100],
        "end missing": good[:-30],
        "bit": good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :],
    }
    checkpoint.write_bytes(bad[damage])
    assert_restarts(checkpoint, capsys)


STORED = {"fingerprint": "same", "state": {}, "history": HISTORY, "best": BEST}
WRONG = {
    "no dict": [1, 2],
    "nothing": {},
    "no state": {k: v for k, v in STORED.items() if k != "state"},
    "no history": {k: v for k, v in STORED.items() if k != "history"},
    "no best": {**STORED, "best": None},
    "state of nothing": STORED,
    "history of text": {**STORED, "history": "abc"},
    "an epoch missing": {**STORED, "history": HISTORY[1:]},
    "best of another shape": {**STORED, "best": {"weight": torch.zeros(2, 3)}},
    "best of another name": {**STORED, "best": {"w": torch.zeros(1, 3)}},
}


@pytest.mark.parametrize("stored", WRONG.values(), ids=WRONG)
def test_a_file_with_other_content_restarts_training(tmp_path, capsys, stored):
    if isinstance(stored, dict) and stored.get("state") == {} and stored is not STORED:
        stored = {**stored, "state": {name: part.state_dict() for name, part in parts(3).items()}}
    torch.save(stored, tmp_path / "run.pt")
    assert_restarts(tmp_path / "run.pt", capsys)


@pytest.mark.parametrize("part", ["network", "optimizer"])
def test_a_state_that_does_not_fit_restarts_training(tmp_path, capsys, part):
    other = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))
    wrong = {"network": other, "optimizer": torch.optim.AdamW(other.parameters())}
    checkpoints.save(tmp_path / "run.pt", "same", {**parts(3), part: wrong[part]}, HISTORY, BEST)
    assert_restarts(tmp_path / "run.pt", capsys)


@pytest.mark.parametrize("kind", ["inside the archive", "bare pickle", "PyTorch's old format"])
def test_a_planted_pickle_is_rejected_and_not_run(tmp_path, checkpoint, capsys, kind):
    planted, path = Planted(tmp_path / "it ran"), tmp_path / "planted.pt"
    if kind == "inside the archive":
        with zipfile.ZipFile(checkpoint) as good, zipfile.ZipFile(path, "w") as bad:
            for name in good.namelist():
                data = good.read(name)
                bad.writestr(
                    name,
                    pickle.dumps({**STORED, "state": planted}, 2)
                    if name.endswith("data.pkl")
                    else data,
                )
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(planted))
    else:
        torch.save(planted, path, _use_new_zipfile_serialization=False)
    assert_restarts(path, capsys)
    assert not planted.path.exists()
    pickle.loads(pickle.dumps(planted))
    assert planted.path.exists(), "unpickling runs the planted code"


def test_a_failed_save_keeps_the_earlier_checkpoint(checkpoint):
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(checkpoint, "same", parts(2), [{"epoch": lambda: None}], {})
    assert resume(checkpoint, "same", parts(1))[0] == HISTORY
    assert [p.name for p in checkpoint.parent.iterdir()] == ["run.pt"]


def test_the_fingerprint_depends_on_every_input(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (1030, 2, 2, 3), np.uint8)
    labels, folds = pd.DataFrame({"age": range(1030)}), np.arange(1030) % 5

    def fingerprint(crops=crops, labels=labels, folds=folds, lr=0.1, fold=0, seed=0, code="a"):
        data = TrainingData(crops, labels, folds)
        return checkpoints.fingerprint(data, {"lr": lr}, fold, seed, code)

    np.save(tmp_path / "crops.npy", crops)
    mapped = np.load(tmp_path / "crops.npy", mmap_mode="r")
    assert fingerprint(crops=mapped) == fingerprint()
    other_crops, other_folds = crops.copy(), folds.copy()
    other_crops[1029, 1, 1, 2] ^= 1
    other_folds[-1] += 1
    others = [
        {"crops": other_crops},
        {"labels": labels.assign(age=labels.age + 1)},
        {"folds": other_folds},
        {"lr": 0.2},
        {"fold": 1},
        {"seed": 1},
        {"code": "b"},
    ]
    assert len({fingerprint(), *(fingerprint(**changes) for changes in others)}) == 8
