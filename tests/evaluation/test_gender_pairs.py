import numpy as np
import pandas as pd
import pytest

from portrait18.dataset.classes import AGE, ALL, GENDER
from portrait18.evaluation import gender_pairs

PHOTOS = pd.Index(["a", "b"], name="photo")
WOMEN, MEN = np.array([[0.2, 0.5, 0.3], [1, 0, 0]]), np.array([[0.6, 0.3, 0.1], [0, 0, 1]])
PEOPLE = {"gender": "all", "women": "female", "men": "male"}


def table(columns, values, **more):
    return pd.DataFrame(values, index=PHOTOS, columns=columns).assign(**more)


def models(**changes):
    given = {
        "women": table(AGE.columns, WOMEN),
        "gender": table(GENDER.columns, [[0.9, 0.1], [0.25, 0.75]]),
        "men": table(AGE.columns, MEN),
    }
    return {**given, **changes}


def test_ages_are_weighted_by_the_probability_of_the_gender():
    merged = gender_pairs.merge(models(), PEOPLE)
    assert list(merged) == ["women+men", "gender"]
    expected = [0.1 * WOMEN[0] + 0.9 * MEN[0], 0.75 * WOMEN[1] + 0.25 * MEN[1]]
    np.testing.assert_allclose(merged["women+men"].to_numpy(), expected)
    assert merged["women+men"].columns.tolist() == AGE.columns
    assert merged["women+men"].index.equals(PHOTOS)


def test_the_gender_is_the_mean_of_all_models_that_predict_it():
    joint = np.zeros((2, 18))
    joint[0, 3], joint[1, 0] = 1, 1  # a woman, a man
    merged = gender_pairs.merge(models(all=table(ALL.columns, joint)), PEOPLE)
    expected = 0.55 * WOMEN[0] + 0.45 * MEN[0]
    np.testing.assert_allclose(merged["women+men"].to_numpy()[0], expected)


def test_expected_years_are_weighted_too():
    given = models(
        women=table(AGE.columns, WOMEN, years=[20.0, 40.0]),
        men=table(AGE.columns, MEN, years=[30.0, 60.0]),
    )
    years = gender_pairs.merge(given, PEOPLE)["women+men"].years
    assert years.tolist() == pytest.approx([29, 45])


def test_pairs_follow_the_order_of_the_models():
    given = models(late=table(AGE.columns, WOMEN), later=table(AGE.columns, WOMEN))
    merged = gender_pairs.merge(given, {**PEOPLE, "late": "male", "later": "female"})
    assert list(merged) == ["women+men", "gender", "later+late"]
    np.testing.assert_allclose(merged["later+late"].to_numpy(), WOMEN)


def test_models_of_all_people_stay_as_they_are():
    given = models()
    assert gender_pairs.merge(given, {}) == given


def test_a_model_without_its_partner_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        gender_pairs.merge(models(), {"women": "female"})
