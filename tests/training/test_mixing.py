from typing import get_args

import numpy as np
import pytest
import tiny
import torch
from pydantic import TypeAdapter

from portrait18.core.validation import tagged
from portrait18.core.variants import MixParams
from portrait18.training import mixing

PHOTOS = torch.stack([torch.full((3, 20, 20), 10 * (i + 1), dtype=torch.uint8) for i in range(8)])
TARGETS = torch.eye(8)
CLASSES = np.array([0, 1, 1, 0, 2, 1, 0, 1])


def mix(name, seed=0, **changes):
    params = TypeAdapter(MixParams).validate_python(tiny.mix(name, **changes))
    return mixing.mix(PHOTOS, TARGETS, CLASSES, params, seed)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "halves"])
def test_targets_are_mixed_in_proportion_to_the_pixels(name):
    for seed in range(10):
        photos, targets = mix(name, seed)
        assert photos.shape == PHOTOS.shape
        np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            photos.float().mean((1, 2, 3)), targets @ (10 * torch.arange(1.0, 9)), rtol=1e-4
        )


@pytest.mark.parametrize("name", ["mixup", "cutmix", "halves"])
def test_the_seed_alone_decides(name):
    results = [mix(name, seed)[0] for seed in range(6)]
    assert all((mix(name, seed)[0] == results[seed]).all() for seed in range(6))
    assert any((r != results[0]).any() for r in results)


@pytest.mark.parametrize("kwargs", [{"name": "none"}, {"name": "cutmix", "probability": 0.0}])
def test_nothing_is_mixed_unless_asked(kwargs):
    photos, targets = mix(**kwargs)
    assert photos is PHOTOS
    assert targets is TARGETS


def test_probability_is_the_fraction_of_mixed_batches():
    mixed = sum(
        (mix("halves", seed, probability=0.3)[0] != PHOTOS).any().item() for seed in range(200)
    )
    assert 35 < mixed < 85


def test_halves_keeps_one_side_and_swaps_the_other():
    kept = set()
    for seed in range(10):
        photos, _ = mix("halves", seed)
        same = (photos == PHOTOS).all(0).all(0).all(0)
        assert same.sum() == 10
        assert same[:10].all() or same[10:].all()
        kept.add(bool(same[0]))
    assert kept == {True, False}


def test_cutmix_pastes_one_square():
    for seed in range(10):
        photos, _ = mix("cutmix", seed)
        y, x = torch.nonzero((photos != PHOTOS).any(0).any(0), as_tuple=True)
        if len(y):
            assert len(y) == (y.max() - y.min() + 1) * (x.max() - x.min() + 1)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "halves"])
def test_partners_of_the_same_class_keep_the_class(name):
    one_hot, partners = np.eye(3, dtype="float32")[CLASSES], set()
    for seed in range(20):
        _, targets = mix(name, seed, partner="class")
        np.testing.assert_allclose(targets.numpy() @ one_hot, one_hot, atol=1e-6)
        partners |= {tuple(np.flatnonzero(row > 0)) for row in targets.numpy()}
    assert (1, 7) in partners
    assert (0, 6) in partners
    assert (4,) in partners


def test_every_mix_of_the_params_is_implemented():
    assert {*mixing.MIXES, "none"} == set(tagged(get_args(MixParams)[0]))
