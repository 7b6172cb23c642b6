import numpy as np
import pandas as pd
import pytest
from tiny import sampling

from portrait18.core.model_params import SamplingParams
from portrait18.dataset.classes import MASK
from portrait18.training.sampling import class_weights, epoch_order

PEOPLE = np.repeat([f"p{i}" for i in range(60)], 7)
CLASSES = np.repeat(np.r_[np.zeros(42, int), np.ones(12, int), np.full(6, 2)], 7)  # 7 : 2 : 1
#: Of each person's seven photos, five show a worn mask, as in the competition.
STATES = ["none", "incorrect", "worn", "worn", "worn", "worn", "worn"]
LABELS = pd.DataFrame(
    {"person": PEOPLE, "mask": np.tile([MASK.classes.index(state) for state in STATES], 60)}
)


def order(balance=0.0, per_person=0, seed=0, epoch=0, labels=LABELS, **kwargs):
    params = SamplingParams(**sampling(balance=balance, per_person=per_person, **kwargs))
    return epoch_order(labels, CLASSES[: len(labels)], params, seed, epoch)


def test_by_default_each_photo_occurs_once_in_random_order():
    drawn = order()
    assert sorted(drawn) == list(range(420))
    assert drawn.tolist() != list(range(420))


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"balance": 1.0},
        {"per_person": 3},
        {"balance": 0.5, "per_person": 2},
        {"per_person": 4, "photos": "by_mask"},
        {"ratios": [1, 1, 1], "repeat": [1, 1, 3]},
    ],
)
def test_seed_and_epoch_alone_decide(kwargs):
    first = order(**kwargs, seed=3, epoch=4)
    assert (order(**kwargs, seed=3, epoch=4) == first).all()
    assert any(order(**kwargs, seed=3, epoch=5) != first)
    assert any(order(**kwargs, seed=4, epoch=4) != first)


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_per_person_draws_without_replacement(count):
    drawn = order(per_person=count)
    assert len(set(drawn)) == len(drawn) == 60 * min(count, 7)
    _, counts = np.unique(PEOPLE[drawn], return_counts=True)
    assert (counts == min(count, 7)).all()


def test_per_person_draws_photos_uniformly_and_shuffles_people():
    hits = np.zeros(420)
    for epoch in range(200):
        hits[order(per_person=3, epoch=epoch)] += 1
    assert hits.min() > 55
    assert hits.max() < 117
    people = PEOPLE[order(per_person=3)]
    assert (people[1:] == people[:-1]).mean() < 0.1


def test_random_photos_of_each_person_are_the_first_of_one_permutation():
    kept: list[int] = []
    for i in np.random.default_rng([3, 4, 0x5A]).permutation(420):
        if sum(PEOPLE[j] == PEOPLE[i] for j in kept) < 2:
            kept.append(int(i))
    assert order(per_person=2, seed=3, epoch=4).tolist() == kept


@pytest.mark.parametrize(
    ("count", "states"),
    [
        (1, ["none"]),
        (2, ["none", "worn"]),
        (3, ["incorrect", "none", "worn"]),
        (5, ["incorrect", "none", "worn", "worn", "worn"]),
        (9, sorted(STATES)),
    ],
)
def test_by_mask_takes_photos_of_the_mask_classes_in_turn(count, states):
    drawn = order(per_person=count, photos="by_mask")
    assert len(set(drawn)) == len(drawn) == 60 * len(states)
    for person in range(60):
        assert sorted(STATES[i % 7] for i in drawn if i // 7 == person) == states


def test_by_mask_draws_from_the_photos_of_a_class_and_keeps_the_random_order():
    hits = np.zeros(420)
    for epoch in range(200):
        hits[order(per_person=2, photos="by_mask", epoch=epoch)] += 1
    hits = hits.reshape(60, 7)
    assert (hits[:, 0] == 200).all()
    assert (hits[:, 1] == 0).all()
    assert hits[:, 2:].min() > 15
    assert hits[:, 2:].max() < 68
    drawn = order(per_person=3, photos="by_mask")
    every = order().tolist()
    assert sorted(drawn, key=every.index) == drawn.tolist()


def test_by_mask_goes_on_to_the_next_class_if_a_person_has_no_photos_of_one():
    worn, incorrect, none = range(3)
    masks = [worn, worn, worn, incorrect, worn, none, none]
    people = ["a", "a", "a", "b", "b", "c", "c"]
    labels = pd.DataFrame({"person": people, "mask": masks})
    drawn = order(per_person=2, photos="by_mask", labels=labels)
    states = sorted((people[i], masks[i]) for i in drawn)
    expected = [("a", worn), ("a", worn), ("b", worn), ("b", incorrect), ("c", none), ("c", none)]
    assert states == expected


@pytest.mark.parametrize("balance", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("per_person", [0, 3])
def test_balance_draws_classes_by_size_to_the_power_of_one_minus_balance(balance, per_person):
    counts = np.zeros(3)
    for epoch in range(100):
        drawn = order(balance, per_person, epoch=epoch)
        assert len(drawn) == (180 if per_person else 420)
        counts += np.bincount(CLASSES[drawn], minlength=3)
    shares = np.array([7.0, 2.0, 1.0]) ** (1 - balance)
    expected = counts.sum() * shares / shares.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 18.4  # chi-square, two degrees, p = 0.0001


def test_class_weights_are_powers_of_the_frequencies_and_one_on_average():
    weights = class_weights(CLASSES, 0.5)
    assert weights.mean() == pytest.approx(1)
    sums = np.bincount(CLASSES, weights)
    np.testing.assert_allclose(sums / sums[2], np.array([7.0, 2.0, 1.0]) ** 0.5)
    assert (class_weights(CLASSES, 0.0) == 1).all()


def test_balance_ignores_a_class_without_photos():
    drawn = epoch_order(LABELS, CLASSES * 2, SamplingParams(**sampling(balance=1.0)), 0, 0)
    assert set(CLASSES[drawn] * 2) == {0, 2, 4}


@pytest.mark.parametrize(
    ("ratios", "counts"),  # of 294, 84 and 42 photos
    [
        ([1, 1, 1], [42, 42, 42]),
        ([4, 2, 1], [168, 84, 42]),
        ([7, 2, 1], [294, 84, 42]),
        ([1, 2, 0.1], [42, 84, 4]),
    ],
)
def test_ratios_remove_as_few_photos_as_possible_without_replacement(ratios, counts):
    drawn = order(ratios=ratios)
    assert np.bincount(CLASSES[drawn]).tolist() == counts
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) != set(order(ratios=ratios, epoch=1)) or counts == [294, 84, 42]


def test_ratios_ignore_a_class_without_photos():
    params = SamplingParams(**sampling(ratios=[1, 5, 1]))
    drawn = epoch_order(LABELS, np.where(CLASSES == 1, 0, CLASSES), params, 0, 0)
    assert np.bincount(np.where(CLASSES == 1, 0, CLASSES)[drawn]).tolist() == [42, 0, 42]


def test_repeat_copies_the_photos_of_a_class():
    drawn = order(repeat=[1, 1, 3])
    times = np.bincount(drawn, minlength=420)
    assert (times == np.array([1, 1, 3])[CLASSES]).all()
    assert (drawn[1:] == drawn[:-1]).mean() < 0.05  # copies of a photo are spread out
