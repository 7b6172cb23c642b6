import itertools
import shutil

import pytest
from fitting import RANDOM, same
from synthetic import REPO

from portrait18.training import augmentation
from stages._fingerprint import code_fingerprint


def interrupt_after(epoch):
    """Return a log function that interrupts the training after an epoch."""

    def log(row):
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return log


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_run_interrupted_after_an_epoch_ends_with_the_same_bits(fit, after):
    undisturbed = fit(**RANDOM)
    with pytest.raises(KeyboardInterrupt):
        fit("run", log=interrupt_after(after), **RANDOM)
    logged = []
    resumed = fit("run", log=logged.append, **RANDOM)
    assert same(resumed, undisturbed)
    assert resumed[1] == undisturbed[1] == logged


def test_a_run_interrupted_within_an_epoch_repeats_only_that_epoch(fit, monkeypatch):
    undisturbed = fit(**RANDOM)
    apply, calls = augmentation.apply, itertools.count()

    def interrupt(*args):
        if next(calls) == 35:  # an epoch has three batches, 24 photos
            raise KeyboardInterrupt
        return apply(*args)

    monkeypatch.setattr(augmentation, "apply", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit("run", **RANDOM)
    counted = []
    monkeypatch.setattr(augmentation, "apply", lambda *args: counted.append(1) or apply(*args))
    assert same(fit("run", **RANDOM), undisturbed)
    assert len(counted) == 48


@pytest.mark.parametrize(
    ("edited", "resumed"),
    [
        ("portrait18/server/app.py", True),
        ("portrait18/core/errors.py", True),
        ("portrait18/training/sampling.py", False),
        ("stages/train.py", False),
    ],
)
def test_only_an_edit_to_the_stages_own_code_discards_a_checkpoint(
    fit, tmp_path, capsys, edited, resumed
):
    source = tmp_path / "source"
    for folder in ("portrait18", "stages"):
        shutil.copytree(REPO / folder, source / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(REPO / "dvc.yaml", source)
    with pytest.raises(KeyboardInterrupt):
        fit("run", log=interrupt_after(0), code=code_fingerprint("train", source))
    with open(source / edited, "a") as file:
        file.write("\n# edited\n")
    fit("run", code=code_fingerprint("train", source))
    assert ("resuming after epoch 1 of 2" in capsys.readouterr().out) == resumed
