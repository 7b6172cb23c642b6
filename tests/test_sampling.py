import numpy as np
import pytest

from portrait18.params import SamplingParams
from portrait18.sampling import epoch_order

PEOPLE = np.repeat([f"p{i}" for i in range(60)], 7)
CLASSES = np.repeat(np.r_[np.zeros(42, int), np.ones(12, int), np.full(6, 2)], 7)  # 7 : 2 : 1


def order(balance=0.0, per_person=0, seed=0, epoch=0):
    return epoch_order(PEOPLE, CLASSES, SamplingParams(balance=balance, per_person=per_person), seed, epoch)


def test_by_default_every_photo_comes_once_in_a_random_order():
    drawn = order()
    assert sorted(drawn) == list(range(420)) and drawn.tolist() != list(range(420))


@pytest.mark.parametrize("how", [{}, {"balance": 1.0}, {"per_person": 3}, {"balance": 0.5, "per_person": 2}])
def test_seed_and_epoch_alone_decide(how):
    first = order(**how, seed=3, epoch=4)
    assert (order(**how, seed=3, epoch=4) == first).all()
    assert any(order(**how, seed=3, epoch=5) != first) and any(order(**how, seed=4, epoch=4) != first)


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_per_person_draws_so_many_photos_of_each_without_repetition(count):
    drawn = order(per_person=count)
    assert len(set(drawn)) == len(drawn) == 60 * min(count, 7)
    _, counts = np.unique(PEOPLE[drawn], return_counts=True)
    assert (counts == min(count, 7)).all()


def test_per_person_draws_every_photo_alike_and_mixes_people():
    hits = np.zeros(420)
    for epoch in range(200):
        hits[order(per_person=3, epoch=epoch)] += 1
    assert hits.min() > 55 and hits.max() < 117  # 200 x 3/7 = 86, give or take four deviations
    people = PEOPLE[order(per_person=3)]
    assert (people[1:] == people[:-1]).mean() < 0.1


@pytest.mark.parametrize("balance", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("per_person", [0, 3])
def test_balance_draws_classes_by_their_size_to_the_power_of_one_minus_it(balance, per_person):
    counts = np.zeros(3)
    for epoch in range(100):
        drawn = order(balance, per_person, epoch=epoch)
        assert len(drawn) == (180 if per_person else 420)
        counts += np.bincount(CLASSES[drawn], minlength=3)
    promised = np.array([7.0, 2.0, 1.0]) ** (1 - balance)
    expected = counts.sum() * promised / promised.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 18.4  # chi-square, two degrees, p = 0.0001


def test_a_class_without_photos_is_no_trouble():
    drawn = epoch_order(PEOPLE, CLASSES * 2, SamplingParams(balance=1.0, per_person=0), 0, 0)
    assert set(CLASSES[drawn] * 2) == {0, 2, 4}
