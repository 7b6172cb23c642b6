import numpy as np
import pandas as pd
import pytest
from leaning import lean_towards

from portrait18.dataset.classes import AGE, ALL, MASK, decode
from portrait18.evaluation import temperature
from portrait18.evaluation.analysis import expected_calibration_error

RNG = np.random.default_rng(3)
TRUTH = RNG.integers(0, 3, 4000)


def calibrated(seed=0):
    """Return probabilities (4000, 3) of which each is the share of its class, by drawing."""
    probabilities = lean_towards(TRUTH, 1.5, seed)
    return probabilities, (RNG.random((4000, 1)) > probabilities.cumsum(1)).sum(1)


def test_scaling_divides_log_probabilities():
    probabilities = lean_towards(TRUTH, 1.5, 0)
    logits = np.log(probabilities) / 0.5
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(temperature.scale(probabilities, 0.5), expected)
    assert temperature.scale(probabilities, 1.0) is probabilities


@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.5])
def test_the_chosen_temperature_undoes_a_wrong_one(wrong):
    probabilities, truth = calibrated()
    given = temperature.scale(probabilities, 1 / wrong)  # overconfident if wrong is above 1
    found = temperature.choose(given, truth)
    assert found == pytest.approx(wrong, rel=0.08)
    scaled = temperature.scale(given, found)
    assert expected_calibration_error(truth, scaled) < 0.03
    if wrong != 1:
        assert expected_calibration_error(truth, given) > 0.06
    assert (scaled.argmax(1) == given.argmax(1)).all()


def test_few_photos_without_an_error_do_not_make_a_model_certain():
    truth = np.tile([0, 1, 2], 4)
    highest = {}
    for copies in (1, 100):
        many = np.tile(truth, copies)
        confident = 0.7 * np.eye(3)[many] + 0.1
        highest[copies] = temperature.scale(confident, temperature.choose(confident, many)).max()
    assert highest[1] == pytest.approx(13 / 15, abs=0.02)  # 12 photos, 3 classes
    assert highest[100] > 0.99


def test_probabilities_of_0_and_1_are_calibrated_too():
    certain = np.eye(3)[TRUTH]
    wrong = np.where(np.arange(4000) % 4 == 0, (TRUTH + 1) % 3, TRUTH)
    scaled = temperature.scale(certain, temperature.choose(certain, wrong))
    assert scaled.max() == pytest.approx(0.75, abs=0.05)


def test_without_photos_nothing_is_scaled():
    assert temperature.choose(np.empty((0, 3)), np.empty(0, int)) == 1.0


def table(task, probabilities):
    return pd.DataFrame(probabilities, [f"{n}.jpg" for n in range(4000)], task.columns)


def test_each_model_is_fitted_on_its_own_task_and_people():
    mask, gender = RNG.integers(0, 3, 4000), RNG.integers(0, 2, 4000)
    probabilities, age = calibrated()
    joint = RNG.dirichlet(np.ones(18), 4000)
    joint_truth = (RNG.random((4000, 1)) > joint.cumsum(1)).sum(1)
    labels = pd.DataFrame(
        {"mask": mask, "gender": gender, "age_group": age}, [f"{n}.jpg" for n in range(4000)]
    )
    women = gender == 1
    # Overconfident for women, wrong for men, who would raise the temperature further.
    confident = temperature.scale(probabilities, 1 / 2)
    by_gender = np.where(women[:, None], confident, np.roll(confident, 1, axis=1))
    models = {"all ages": table(AGE, confident), "women": table(AGE, by_gender)}
    people = {"all ages": "all", "women": "female"}
    found = temperature.fit(models, labels, people)
    assert found["all ages"] == pytest.approx(2, rel=0.08)
    assert found["women"] == pytest.approx(2, rel=0.1)
    assert temperature.fit(models, labels, dict.fromkeys(models, "all"))["women"] > 3

    labels = pd.DataFrame(decode(joint_truth), labels.index).rename(columns={"age": "age_group"})
    tables = {"joint": table(ALL, temperature.scale(joint, 2))}
    found = temperature.fit(tables, labels, {"joint": "all"})
    assert found["joint"] == pytest.approx(0.5, rel=0.08)


def test_other_columns_and_models_without_a_temperature_stay():
    probabilities = lean_towards(TRUTH, 1.5, 0)
    models = {
        "age": table(AGE, probabilities).assign(years=40.5),
        "mask": table(MASK, probabilities),
    }
    scaled = temperature.scale_models(models, {"age": 2.0})
    np.testing.assert_array_equal(scaled["mask"], models["mask"])
    assert (scaled["age"].years == 40.5).all()
    np.testing.assert_array_equal(scaled["age"][AGE.columns], temperature.scale(probabilities, 2))
    assert (models["age"][AGE.columns].to_numpy() == probabilities).all()
