import numpy as np
import pandas as pd
import pytest

from portrait18 import evaluation
from portrait18.classes import NAMES


def test_baseline_answers_the_most_frequent_class():
    assert evaluation.baseline(np.array([1, 1, 1, 0]), 2) == {"accuracy": 0.75, "macro_f1": pytest.approx(6 / 7 / 2)}


def test_sure_and_right_is_perfectly_calibrated():
    assert evaluation.expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_calibration_error_is_the_mean_gap_over_photos():
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    truth = np.array([0, 0, 0, 1] + [0, 0, 0, 0])
    assert evaluation.expected_calibration_error(truth, probabilities) == pytest.approx((0.15 + 0.4) / 2)
    table = evaluation.calibration(truth, probabilities)
    assert list(table) == ["confidence", "accuracy", "photos"]
    np.testing.assert_allclose(table, [[0.6, 1, 4], [0.9, 0.75, 4]])


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
