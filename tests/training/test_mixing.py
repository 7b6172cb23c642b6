import numpy as np
import pytest
import torch

from portrait18.core.model_params import MixParams
from portrait18.training import mixing

PHOTOS = torch.stack([torch.full((3, 20, 20), 10 * (i + 1), dtype=torch.uint8) for i in range(8)])
TOLD = torch.eye(8)


CLASSES = np.array([0, 1, 1, 0, 2, 1, 0, 1])


def mix(method, seed=0, alpha=1.0, probability=1.0, partner="any"):
    params = MixParams(method=method, alpha=alpha, probability=probability, partner=partner)
    return mixing.mix(PHOTOS, TOLD, CLASSES, params, seed)


@pytest.mark.parametrize("method", ["mixup", "cutmix", "halves"])
def test_labels_are_shared_as_the_pixels_are(method):
    for seed in range(10):
        photos, told = mix(method, seed)
        assert photos.shape == PHOTOS.shape
        np.testing.assert_allclose(told.sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            photos.float().mean((1, 2, 3)), told @ (10 * torch.arange(1.0, 9)), rtol=1e-4
        )


@pytest.mark.parametrize("method", ["mixup", "cutmix", "halves"])
def test_the_seed_alone_decides(method):
    results = [mix(method, seed)[0] for seed in range(6)]
    assert all((mix(method, seed)[0] == results[seed]).all() for seed in range(6))
    assert any((r != results[0]).any() for r in results)


@pytest.mark.parametrize("how", [{"method": "none"}, {"method": "cutmix", "probability": 0.0}])
def test_nothing_is_mixed_unless_asked(how):
    photos, told = mix(**how)
    assert photos is PHOTOS
    assert told is TOLD


def test_probability_is_the_share_of_mixed_batches():
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


@pytest.mark.parametrize("method", ["mixup", "cutmix", "halves"])
def test_partners_of_the_same_class_leave_the_class_as_it_was(method):
    of_class, partners = np.eye(3, dtype="float32")[CLASSES], set()
    for seed in range(20):
        _, told = mix(method, seed, partner="class")
        np.testing.assert_allclose(told.numpy() @ of_class, of_class, atol=1e-6)
        partners |= {tuple(np.flatnonzero(row > 0)) for row in told.numpy()}
    assert (1, 7) in partners
    assert (0, 6) in partners
    assert (4,) in partners
