import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from portrait18.models import metrics


def test_scores_equal_a_hand_calculation():
    truth = np.array([0, 1])
    probabilities = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], np.float32)
    found = metrics.scores(truth, probabilities.argmax(1), probabilities)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(1 / 3)
    assert found["loss"] == pytest.approx(-np.log([0.5, 0.25]).mean())


def test_the_loss_of_a_confident_mistake_is_finite():
    found = metrics.scores(np.array([0]), np.array([1]), np.array([[0.0, 1.0]]))
    assert 10 < found["loss"] < 20


def test_probabilities_that_do_not_sum_to_one_are_normalized():
    assert metrics.scores(np.array([0]), np.array([0]), np.array([[2.0, 2.0]]))[
        "loss"
    ] == pytest.approx(np.log(2))


def test_class_scores_cover_the_18_classes_and_each_task():
    truth, predicted = np.array([0, 17, 3, 14]), np.array([0, 17, 0, 13])
    found = metrics.class_scores(truth, predicted)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 18)
    assert found["mask"]["accuracy"] == 1
    assert found["gender"]["accuracy"] == 0.75
    assert found["age"]["accuracy"] == 0.75
    assert found["mask"]["macro_f1"] == pytest.approx(2 / 3)


def test_perfect_predictions_score_one():
    assert metrics.class_scores(np.arange(18), np.arange(18))["macro_f1"] == 1


@pytest.mark.parametrize(("photos", "count"), [(1, 2), (7, 3), (500, 3), (3000, 18)])
def test_scores_have_the_bits_of_scikit_learn(photos, count):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(count, 0.3), photos).astype(np.float32)
    # The last class is never predicted, and rare in the truth.
    predicted, truth = probabilities[:, :-1].argmax(1), rng.integers(0, count, photos)
    truth[rng.uniform(size=photos) < 0.6] = 0
    labels = range(count)
    found = metrics.scores(truth, predicted, probabilities)
    f1 = f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)
    assert found["macro_f1"] == f1
    clipped = np.clip(probabilities.astype(np.float64), 1e-7, None)
    clipped /= clipped.sum(1, keepdims=True)
    assert found["loss"] == log_loss(truth, clipped, labels=labels)
