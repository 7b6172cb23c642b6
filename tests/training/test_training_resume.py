import itertools

import pytest
from fitting import RANDOM, same

from portrait18.training import loop


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_run_interrupted_after_an_epoch_ends_with_the_same_bits(fit, after):
    undisturbed = fit(**RANDOM)

    def interrupt(row):
        if row["epoch"] == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("run", log=interrupt, **RANDOM)
    logged = []
    resumed = fit("run", log=logged.append, **RANDOM)
    assert same(resumed, undisturbed)
    assert resumed[1] == undisturbed[1] == logged


def test_a_run_interrupted_within_an_epoch_repeats_that_epoch_only(fit, monkeypatch):
    undisturbed = fit(**RANDOM)
    usual, calls = loop.augment.apply, itertools.count()

    def interrupt(*args):
        if next(calls) == 35:  # three whole batches, 24 photos, an epoch
            raise KeyboardInterrupt
        return usual(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop.augment, "apply", interrupt)
        fit("run", **RANDOM)
    counted = []
    monkeypatch.setattr(loop.augment, "apply", lambda *args: counted.append(1) or usual(*args))
    assert same(fit("run", **RANDOM), undisturbed)
    assert len(counted) == 48
