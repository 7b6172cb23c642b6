import itertools

import pytest
import torch
from fitting import RANDOM, same
from tiny import crop_params, model_params

from portrait18.networks import backbones, inference
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


def test_weights_of_the_same_name_but_other_content_begin_anew(fit, tmp_path):
    def weights(seed):
        torch.manual_seed(seed)
        source = backbones.create(model_params(), (3,))
        inference.save(tmp_path / "start.safetensors", source, model_params(), crop_params())

    def interrupt(row):
        raise KeyboardInterrupt

    how = dict(weights=str(tmp_path / "start.safetensors"), epochs=2)
    weights(0)
    with pytest.raises(KeyboardInterrupt):
        fit("run", log=interrupt, **how)
    weights(1)
    assert same(fit("run", **how), fit(**how))
