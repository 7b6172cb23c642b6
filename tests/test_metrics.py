import numpy as np
import pandas as pd
import pytest

from portrait18 import evaluation, metrics
from portrait18.classes import NAMES


def test_macro_f1_by_hand():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert metrics.macro_f1(truth, predicted, 2) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_absent_class_counts_as_zero():
    truth = np.array([0, 1])
    assert metrics.macro_f1(truth, truth, 2) == 1
    assert metrics.macro_f1(truth, truth, 4) == 0.5


def test_scores_by_hand():
    truth = np.array([0, 1])
    probabilities = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], np.float32)
    found = metrics.scores(truth, probabilities.argmax(1), probabilities)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(1 / 3)
    assert found["loss"] == pytest.approx(-np.log([0.5, 0.25]).mean())


def test_loss_of_a_sure_mistake_is_finite():
    found = metrics.scores(np.array([0]), np.array([1]), np.array([[0.0, 1.0]]))
    assert 10 < found["loss"] < 20


def test_probabilities_that_do_not_sum_to_one_are_normalised():
    assert metrics.scores(np.array([0]), np.array([0]), np.array([[2.0, 2.0]]))["loss"] == pytest.approx(np.log(2))


def test_baseline_answers_the_most_frequent_class():
    assert evaluation.baseline(np.array([1, 1, 1, 0]), 2) == {"accuracy": 0.75, "macro_f1": pytest.approx(6 / 7 / 2)}


def test_answers_score_the_18_classes_and_each_task():
    classes, predicted = np.array([0, 17, 3, 14]), np.array([0, 17, 0, 13])
    found = metrics.answers(classes, predicted)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 18)
    assert found["mask"]["accuracy"] == 1
    assert found["gender"]["accuracy"] == 0.75
    assert found["age"]["accuracy"] == 0.75
    assert found["mask"]["macro_f1"] == pytest.approx(2 / 3)


def test_perfect_answers_score_one():
    assert metrics.answers(np.arange(18), np.arange(18))["macro_f1"] == 1


def test_sure_and_right_is_perfectly_calibrated():
    assert evaluation.expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_calibration_error_is_the_mean_gap_over_photos():
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    truth = np.array([0, 0, 0, 1] + [0, 0, 1, 1])
    assert evaluation.expected_calibration_error(truth, probabilities) == pytest.approx((0.15 + 0.1) / 2)
    table = evaluation.calibration(truth, probabilities)
    assert list(table) == ["confidence", "accuracy", "photos"]
    np.testing.assert_allclose(table, [[0.6, 0.5, 4], [0.9, 0.75, 4]])


def test_recall_of_each_class_by_name():
    found = evaluation.recalls(np.array([0, 0, 1]), np.array([0, 1, 1]), ("male", "female", "absent"))
    assert found == {"male": 0.5, "female": 1.0, "absent": 0.0}


def test_report_has_a_row_for_every_class_and_the_mean():
    table = evaluation.report(np.array([0, 17]), np.array([0, 16]))
    assert table["class"].tolist() == [*NAMES, "macro avg"]
    assert list(table) == ["class", "precision", "recall", "f1-score", "support"]
    assert table["f1-score"].iloc[-1] == pytest.approx(1 / 18)


def test_rows_of_the_confusion_are_the_truth():
    found = evaluation.confusion(np.array([0, 0, 2]), np.array([1, 0, 2]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_groups_score_each_gender_decade_and_mask_state():
    table = pd.DataFrame(
        {
            "mask": [0, 0, 2],
            "gender": [0, 1, 1],
            "age": [25, 29, 60],
            "age_group": [0, 0, 2],
            "class": [0, 3, 17],
            "predicted_mask": [0, 0, 0],
            "predicted_gender": [0, 0, 1],
            "predicted_age": [0, 0, 2],
            "predicted_class": [0, 0, 5],
        }
    )
    found = evaluation.groups(table)
    accuracies = ["mask_accuracy", "gender_accuracy", "age_accuracy", "all_accuracy"]
    assert list(found) == ["group", "value", "photos", *accuracies]
    found = found.set_index(["group", "value"])
    assert found.loc[("gender", "female")].tolist() == [2, 0.5, 0.5, 1, 0]
    assert found.loc[("age decade", "20s")].tolist() == [2, 1, 0.5, 1, 0.5]
    assert found.loc[("age decade", "60s")].tolist() == [1, 0, 1, 1, 0]
    assert found.loc[("mask", "none"), "photos"] == 1 and ("mask", "incorrect") not in found.index
