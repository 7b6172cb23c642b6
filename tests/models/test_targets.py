from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from tiny import model_params

from portrait18.core.validation import tagged
from portrait18.core.variants import GROUP_EDGES, TargetParams
from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, OLD_FROM, YOUNG_BELOW
from portrait18.dataset.labels import class_index
from portrait18.models.targets import TARGETS, class_counts, make_target

LABELS = pd.DataFrame(
    {
        "mask": [0, 1, 2],
        "gender": [0, 1, 1],
        "age": [29, 59, 60],
        "age_group": [0, 1, 2],
        "age_target": [0, 2, 2],
    }
)


def encoded(**changes):
    return make_target(model_params(**changes)).encode(LABELS).numpy()


@pytest.mark.parametrize(
    ("task", "hot"),
    [("mask", [0, 1, 2]), ("gender", [0, 1, 1]), ("age", [0, 2, 2]), ("all", [0, 11, 17])],
)
def test_classes_are_encoded_as_one_hot_rows(task, hot):
    result = encoded(task=task)
    assert result.dtype == np.float32
    assert (result == np.eye({"gender": 2, "all": 18}.get(task, 3))[hot]).all()


@pytest.mark.parametrize(
    ("task", "trained", "truth"), [(AGE, [0, 2, 2], [0, 1, 2]), (ALL, [0, 11, 17], [0, 10, 17])]
)
def test_training_uses_the_boundaries_of_the_params_and_scores_the_true_ones(task, trained, truth):
    assert class_index(task, LABELS, for_training=True).tolist() == trained
    assert class_index(task, LABELS, for_training=False).tolist() == truth


@pytest.mark.parametrize("task", [MASK, GENDER])
@pytest.mark.parametrize("trained", [True, False])
def test_boundaries_do_not_affect_the_other_tasks(task, trained):
    assert class_index(task, LABELS, trained).tolist() == LABELS[task.name].tolist()


def test_class_probabilities_are_the_softmax():
    target, powers = make_target(model_params(task="mask")), np.exp([0.0, 1.0, 3.0])
    assert target.widths == (3,)
    assert target.years is None
    assert target.task is MASK
    probabilities = target.probabilities(torch.tensor([[0.0, 1.0, 3.0]]))
    np.testing.assert_allclose(probabilities[0], powers / powers.sum(), rtol=1e-6)


def test_heads_are_encoded_side_by_side_and_their_probabilities_multiplied():
    target = make_target(model_params(task="all", target="heads"))
    assert target.widths == (3, 2, 3)
    assert target.task is ALL
    assert target.encode(LABELS)[1].tolist() == [0, 1, 0, 0, 1, 0, 0, 1]
    shares = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.6]), np.array([0.1, 0.7, 0.2])
    outputs = torch.tensor(np.log(np.concatenate(shares)), dtype=torch.float32)[None]
    eighteen = target.probabilities(outputs)[0].numpy()
    for mask, gender, age in ((0, 0, 0), (2, 1, 1), (1, 0, 2)):
        expected = shares[0][mask] * shares[1][gender] * shares[2][age]
        assert eighteen[6 * mask + 3 * gender + age] == pytest.approx(expected, rel=1e-5)
    assert eighteen.sum() == pytest.approx(1)


@pytest.fixture
def value():
    return make_target(model_params(task="age", target="value", loss="gaussian"))


def test_years_survive_encoding_and_decoding(value):
    mean = value.encode(LABELS)
    assert value.widths == (2,)
    assert value.task is AGE
    assert mean.dtype == torch.float32
    assert mean.abs().max() <= 1.1
    outputs = torch.stack([mean, torch.zeros(3)], 1)
    np.testing.assert_allclose(value.years(outputs), LABELS.age, rtol=1e-5)


@pytest.mark.parametrize("years", [18.0, 29.5, 45.0, 59.4, 75.0])
@pytest.mark.parametrize("deviation", [2.0, 8.0, 25.0])
def test_probabilities_are_the_mass_between_boundaries_of_whole_years(value, years, deviation):
    outputs = torch.tensor([[(years - 45) / 15, 2 * np.log(deviation / 15)]], dtype=torch.float32)
    below = norm.cdf([29.5, 59.5], years, deviation)
    expected = [below[0], below[1] - below[0], 1 - below[1]]
    np.testing.assert_allclose(value.probabilities(outputs)[0], expected, atol=2e-6)


def test_confident_years_leave_every_class_possible(value):
    assert (value.probabilities(torch.tensor([[-3.0, -20.0], [3.0, -20.0]])) > 0).all()


@pytest.fixture
def distribution():
    return make_target(
        model_params(
            task="age", target={"name": "distribution", "sigma": 3.0}, loss="soft-cross-entropy"
        )
    )


def test_a_distribution_is_encoded_as_a_normal_around_the_year(distribution):
    encoded = distribution.encode(LABELS).numpy()
    assert encoded.shape == (3, 101)
    assert distribution.widths == (101,)
    assert distribution.task is AGE
    np.testing.assert_allclose(encoded[1], norm.pdf(np.arange(101), 59, 3), atol=1e-4)
    np.testing.assert_allclose(encoded.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(("year", "group"), [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2), (100, 2)])
def test_years_of_a_distribution_count_for_their_age_group(distribution, year, group):
    outputs = torch.zeros(1, 101)
    outputs[0, year] = 30
    assert distribution.probabilities(outputs)[0, group] == pytest.approx(1, abs=1e-5)
    assert distribution.years(outputs).item() == pytest.approx(year, abs=1e-3)
    mixed = torch.full((1, 101), -50.0)
    mixed[0, [20, 70]] = torch.tensor([0.25, 0.75]).log()
    np.testing.assert_allclose(distribution.probabilities(mixed)[0], [0.25, 0, 0.75], atol=1e-5)
    assert distribution.years(mixed).item() == pytest.approx(57.5, abs=1e-3)


BINS = {"task": "age", "target": {"name": "bins", "edges": [20, 30, 45, 60]}}


def test_years_are_encoded_as_bins_whatever_the_training_boundaries():
    target = make_target(model_params(**BINS))
    labels = pd.DataFrame({"age": [1, 19, 20, 29, 30, 44, 45, 59, 60, 99], "age_target": 0})
    rows = target.encode(labels).numpy()
    assert rows.dtype == np.float32
    assert (rows == np.eye(5)[[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]).all()
    assert target.widths == (5,)
    assert class_counts(target, labels).tolist() == [2, 2, 2, 2, 2]


def test_probabilities_of_bins_are_summed_to_the_age_groups():
    target = make_target(model_params(**BINS))
    outputs = torch.tensor([[0.1, 0.2, 0.15, 0.25, 0.3]]).log()
    np.testing.assert_allclose(target.probabilities(outputs)[0], [0.3, 0.4, 0.3], rtol=1e-6)
    assert target.years is None
    assert target.task is AGE
    coarse = make_target(model_params(**BINS | {"target": {"name": "bins", "edges": [30, 60]}}))
    np.testing.assert_allclose(
        coarse.probabilities(outputs[:, 2:]), outputs[:, 2:].softmax(1), rtol=1e-6
    )


@pytest.mark.parametrize(
    "edges", [[], [30], [60, 30], [20, 30, 30, 60], [20, 45, 60], [0, 30, 60], [-5, 30, 60]]
)
def test_bins_that_cannot_be_summed_to_the_age_groups_are_refused(edges):
    with pytest.raises(ValueError, match="with the boundaries of the age groups, 30 and 60"):
        model_params(**BINS | {"target": {"name": "bins", "edges": edges}})


def test_group_edges_of_the_params_are_those_of_the_age_groups():
    assert (YOUNG_BELOW, OLD_FROM) == GROUP_EDGES


def test_ranks_survive_encoding_and_decoding():
    rank = make_target(model_params(task="age", target="rank", loss="cumulative"))
    encoded = rank.encode(LABELS)
    assert rank.widths == (100,)
    assert encoded.sum(1).tolist() == [29, 59, 60]
    assert encoded[0, 28] == 1
    assert encoded[0, 29] == 0
    confident = 40 * (encoded - 0.5)
    np.testing.assert_allclose(rank.years(confident), [29, 59, 60], atol=1e-3)
    np.testing.assert_allclose(
        rank.probabilities(confident), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], atol=1e-5
    )


def test_contradicting_ranks_still_give_probabilities():
    rank = make_target(model_params(task="age", target="rank", loss="cumulative"))
    outputs = torch.zeros(1, 100)
    outputs[0, 29], outputs[0, 59] = -1.0, 2.0  # at least 60 is likelier than at least 30
    probabilities = rank.probabilities(outputs)[0]
    adult = torch.tensor(-1.0).sigmoid().item()
    np.testing.assert_allclose(probabilities, [1 - adult, 0, adult], atol=2e-6)


def test_class_counts_use_the_training_boundaries():
    def counts(**changes):
        return class_counts(make_target(model_params(**changes)), LABELS).tolist()

    assert counts(task="age") == [1, 0, 2]
    assert counts(task="gender") == [1, 2]
    assert counts(task="all", target="heads") == [1, 1, 1, 1, 2, 1, 0, 2]


def test_every_target_of_the_params_is_implemented():
    assert set(TARGETS) == set(tagged(get_args(TargetParams)[0]))
