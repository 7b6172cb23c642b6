import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import classification_report

from portrait18.dataset.classes import CLASS_NAMES, encode
from portrait18.evaluation import analysis


def test_baseline_always_predicts_the_most_frequent_class():
    assert analysis.baseline(np.array([1, 1, 1, 0]), 2) == {
        "accuracy": 0.75,
        "macro_f1": pytest.approx(6 / 7 / 2),
    }


def test_confident_and_correct_is_perfectly_calibrated():
    assert analysis.expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_calibration_error_is_the_mean_gap_over_photos():
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    truth = np.array([0, 0, 0, 1, 0, 0, 0, 0])
    assert analysis.expected_calibration_error(truth, probabilities) == pytest.approx(
        (0.15 + 0.4) / 2
    )
    table = analysis.calibration(truth, probabilities)
    assert list(table) == ["confidence", "accuracy", "photos"]
    np.testing.assert_allclose(table, [[0.6, 1, 4], [0.9, 0.75, 4]])


def test_recall_of_each_class_by_name():
    found = analysis.recalls(np.array([0, 0, 1]), np.array([0, 1, 1]), ("male", "female", "absent"))
    assert found == {"male": 0.5, "female": 1.0, "absent": 0.0}


def test_report_has_a_row_for_every_class_and_the_mean():
    table = analysis.class_report(np.array([0, 17]), np.array([0, 16]))
    assert table["class"].tolist() == [*CLASS_NAMES, "macro avg"]
    assert list(table) == ["class", "precision", "recall", "f1-score", "support"]
    assert table["f1-score"].iloc[-1] == pytest.approx(1 / 18)


def test_the_report_has_the_bits_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 17, 300), rng.integers(1, 18, 300)
    expected = classification_report(
        truth,
        predicted,
        labels=range(18),
        target_names=CLASS_NAMES,
        output_dict=True,
        zero_division=0,
    )
    table = analysis.class_report(truth, predicted).set_index("class")
    for name, row in table.iterrows():
        assert row.to_dict() == expected[name]


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
    found = analysis.accuracy_by_group(table)
    accuracies = ["mask_accuracy", "gender_accuracy", "age_accuracy", "all_accuracy"]
    assert list(found) == ["group", "value", "photos", *accuracies]
    found = found.set_index(["group", "value"])
    assert found.loc[("gender", "female")].tolist() == [2, 0.5, 0.5, 1, 0]
    assert found.loc[("age decade", "20s")].tolist() == [2, 1, 0.5, 1, 0.5]
    assert found.loc[("age decade", "60s")].tolist() == [1, 0, 1, 1, 0]
    assert found.loc[("mask", "none"), "photos"] == 1
    assert ("mask", "incorrect") not in found.index


def test_age_errors_are_listed_by_decade_with_mean_and_mean_absolute_years():
    age, group, predicted = np.array([25, 29, 61]), np.array([0, 0, 2]), np.array([0, 1, 2])
    found = analysis.age_by_decade(age, group, predicted, np.array([28.0, 27.0, 51.0]))
    assert list(found) == [
        "decade",
        "photos",
        "wrong_group",
        "mean_absolute_error_years",
        "mean_error_years",
    ]
    assert found.to_numpy().tolist() == [["20s", 2, 0.5, 2.5, 0.5], ["60s", 1, 0.0, 10.0, -10.0]]


def test_without_years_only_age_groups_are_scored():
    found = analysis.age_by_decade(np.array([25]), np.array([0]), np.array([2]))
    assert found.wrong_group.tolist() == [1]
    assert found.mean_absolute_error_years.isna().all()


def mistakes_of(people: str, predicted: list[int], truth_probabilities: list[float]):
    """Mistakes on photos of class 0, each of the person named by a letter."""
    truth = pd.DataFrame(
        {"photo": [f"{i}.jpg" for i in range(len(people))], "person": list(people), "age": 25}
    )
    joint = np.zeros((len(people), 18))
    joint[np.arange(len(people)), predicted] = 0.6
    joint[:, 0] = truth_probabilities
    return analysis.mistakes(truth.assign(**{"class": 0}), np.array(predicted), joint)


def test_mistakes_are_the_wrong_predictions_with_the_tasks_that_are_wrong():
    found = mistakes_of("abcd", [0, 6, encode(0, 1, 2), 1], [0.9, 0.3, 0.1, 0.2])
    assert found.photo.tolist() == ["2.jpg", "3.jpg", "1.jpg"], (
        "the truth given least probability comes first"
    )
    assert found.wrong.tolist() == ["gender+age", "age", "mask"]
    assert found.iloc[0].drop(["photo", "wrong"]).to_dict() == {
        "person": "c",
        "age": 25,
        "truth": "worn male <30",
        "predicted": "worn female >=60",
        "probability": 0.6,
        "probability_of_truth": 0.1,
    }


def test_the_worst_mistake_of_each_person_comes_before_anybodys_second():
    assert mistakes_of("aaab", [1, 1, 1, 1], [0.1, 0.3, 0.2, 0.4]).photo.tolist() == [
        "0.jpg",
        "3.jpg",
        "2.jpg",
        "1.jpg",
    ]


def test_without_mistakes_the_table_has_no_rows():
    assert len(mistakes_of("ab", [0, 0], [0.9, 0.8])) == 0


def test_captions_of_mistakes_name_the_rows_of_the_crop_store():
    found = mistakes_of("ab", [6, 1], [0.1, 0.2])
    captions = analysis.captions(found, pd.Series(["x.jpg", "1.jpg", "0.jpg"]), 1)
    assert captions == {2: "worn male <30\n-> incorrect male <30\n0.60"}
