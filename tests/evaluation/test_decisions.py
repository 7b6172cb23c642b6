import numpy as np

from portrait18.dataset.confusion import macro_f1
from portrait18.evaluation import decisions

RNG = np.random.default_rng(0)


def skewed(seed=1, strength=3.0):
    """Probabilities, truth and people; the third class is rare and underestimated."""
    truth = np.repeat([0, 1, 2], [500, 400, 80])
    logits = np.random.default_rng(seed).normal(0, 1, (len(truth), 3))
    logits[np.arange(len(truth)), truth] += strength
    probabilities = np.exp(logits) * [1, 1, 0.1]
    return probabilities / probabilities.sum(1, keepdims=True), truth, np.arange(len(truth))


def test_offsets_shift_the_decision():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.0, 1.0, 0.0]])
    assert decisions.decide(probabilities, np.zeros(3)).tolist() == [0, 1]
    assert decisions.decide(probabilities, np.array([0, 0.75, 0])).tolist() == [1, 1]
    assert decisions.decide(probabilities, np.array([0, 0, 2.0])).tolist() == [2, 1]


def test_offsets_raise_macro_f1_if_a_rare_class_is_missed():
    probabilities, truth, people = skewed()
    offsets = decisions.choose_offsets(probabilities, truth, people)
    before, after = (
        macro_f1(truth, decisions.decide(probabilities, o), 3) for o in (np.zeros(3), offsets)
    )
    assert offsets[0] == 0
    assert offsets[2] >= 0.5
    assert after > before + 0.05


def test_offsets_are_zero_if_there_is_nothing_to_gain():
    truth = RNG.integers(0, 3, 300)
    assert not decisions.choose_offsets(np.eye(3)[truth], truth, np.arange(300)).any()


def test_offsets_stay_zero_if_the_gain_is_noise():
    taken = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        people = np.repeat(np.arange(10), 4)
        truth, probabilities = rng.integers(0, 3, 10)[people], rng.dirichlet(np.ones(3), 10)[people]
        taken += decisions.choose_offsets(probabilities, truth, people).any()
    assert taken <= 4


def test_photos_of_one_person_count_as_one_observation():
    rng = np.random.default_rng(1)
    truth, probabilities = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)
    copies = np.repeat(np.arange(30), 20)
    found = [
        decisions.choose_offsets(probabilities[copies], truth[copies], people).any()
        for people in (copies, np.arange(len(copies)))
    ]
    # The gain of this draw is significant for 600 people, but not for 30 with 20 photos each.
    assert found == [False, True]


def test_parts_keep_people_together_and_have_equal_sizes():
    people = RNG.permutation(np.repeat(np.arange(50), 7))
    part = decisions.assign_parts(people)
    assert np.bincount(part).tolist() == [70] * 5
    assert all(len(set(part[people == p])) == 1 for p in range(50))
    assert decisions.assign_parts(np.array(["b", "a", "b"])).tolist() in ([0, 1, 0], [1, 0, 1])


def test_thresholds_are_found_between_the_age_groups():
    years = np.concatenate([RNG.normal(25, 2, 200), RNG.normal(45, 3, 200), RNG.normal(58, 2, 60)])
    low, high = decisions.choose_thresholds(years, np.repeat([0, 1, 2], [200, 200, 60]))
    assert 29 <= low <= 38
    assert 51 <= high <= 55
    assert decisions.choose_thresholds(
        np.array([20.0, 45.0, 70.0]), np.array([0, 1, 2])
    ).tolist() == [29.5, 59.5]
