import numpy as np
import pytest
from sklearn import metrics

from portrait18.dataset.confusion import confusion_matrix, f1_scores, macro_f1


def test_macro_f1_equals_a_hand_calculation():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert macro_f1(truth, predicted, 2) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_an_absent_class_counts_as_zero():
    truth = np.array([0, 1])
    assert macro_f1(truth, truth, 2) == 1
    assert macro_f1(truth, truth, 4) == 0.5


def test_rows_of_the_confusion_are_the_truth():
    found = confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 2]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(("photos", "count"), [(1, 2), (7, 3), (500, 3), (3000, 18)])
def test_scores_of_several_matrices_have_the_bits_of_scikit_learn(photos, count):
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, count, (2, 4, photos))
    labels = range(count)
    pairs = list(zip(truth, predicted, strict=True))
    tables = [confusion_matrix(t, p, count) for t, p in pairs]
    found = f1_scores(np.stack(tables).astype(float))
    for table, scores, (t, p) in zip(tables, found, pairs, strict=True):
        assert (table == metrics.confusion_matrix(t, p, labels=labels)).all()
        f1 = metrics.f1_score(t, p, labels=labels, average=None, zero_division=0)
        assert (scores == f1).all()
