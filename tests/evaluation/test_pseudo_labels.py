import numpy as np
import pandas as pd
import pytest
from tiny import model_params

from portrait18.dataset.classes import AGE, TASKS
from portrait18.evaluation import pseudo_labels

#: photo, then prediction and confidence of mask, gender and age, then years
ROWS = [
    ("a.jpg", 0, 0.95, 1, 0.99, 0, 0.97, 22.4),
    ("b.jpg", 2, 0.99, 0, 0.60, 1, 0.90, 41.0),
    ("c.jpg", 1, 0.50, 1, 0.95, 2, 0.91, 57.0),  # years that contradict the group
]
COLUMNS = [
    "photo",
    "mask",
    "mask_confidence",
    "gender",
    "gender_confidence",
    "age_group",
    "age_group_confidence",
    "years",
]
PREDICTIONS = pd.DataFrame(ROWS, columns=COLUMNS)
DECODED = pd.Series(True, index=["c.jpg", "b.jpg", "a.jpg"])


def trained_on(predictions=PREDICTIONS, confidence=0.9, decoded=DECODED, **model):
    labels = pseudo_labels.labels(predictions, decoded, model_params(**model), confidence)
    assert labels.photo.tolist() == predictions.photo.tolist()
    return "".join(name[0] for name in labels.photo[labels.train == 1])


def test_a_photo_is_used_for_the_tasks_that_are_confident_enough():
    assert trained_on(task="mask") == "ab"
    assert trained_on(task="gender") == "ac"
    assert trained_on(task="age") == "abc"
    assert trained_on(task="age", confidence=0.905) == "ac"
    assert trained_on(task="all") == trained_on(task="all", target="heads") == "a"


def test_a_model_of_one_gender_needs_a_confident_gender_too():
    assert trained_on(task="age", people="female") == "ac"


def test_a_photo_that_could_not_be_decoded_is_not_used():
    decoded = DECODED.mask(DECODED.index == "a.jpg", False)
    assert [
        trained_on(decoded=decoded, task=task) for task in ("mask", "gender", "age", "all")
    ] == [
        "b",
        "c",
        "bc",
        "",
    ]


def test_each_photo_is_labeled_as_an_extra_person():
    row = pseudo_labels.labels(PREDICTIONS, DECODED, model_params(task="gender"), 0.9).iloc[2]
    assert (row["mask"], row.gender, row.age_group, row.age_target, row.age) == (1, 1, 2, 2, 57)
    assert row["class"] == 6 * 1 + 3 * 1 + 2
    assert row.person == row.photo == "c.jpg"
    assert row.extra == 1
    assert row.train == 1


@pytest.mark.parametrize(
    "target", [{"target": "value", "loss": "gaussian"}, {"target": "rank", "loss": "cumulative"}]
)
def test_targets_in_years_need_years_that_agree_with_the_group(target):
    assert trained_on(task="age", **target) == "ab"


def test_targets_of_classes_need_no_years():
    assert trained_on(PREDICTIONS.drop(columns="years"), task="age") == "abc"


def test_predictions_are_the_mean_of_a_folds_models_with_their_confidence():
    index = pd.Index([f"{i}.jpg" for i in range(5)], name="photo")
    parts = {
        n: np.random.default_rng(i).dirichlet(np.ones(len(t.classes)), 5)
        for i, (n, t) in enumerate(TASKS.items())
    }
    models = {name: pd.DataFrame(p, index, TASKS[name].columns) for name, p in parts.items()}
    models["age"]["years"] = 40.0
    models["age-2"] = pd.DataFrame(parts["age"][:, ::-1], index, AGE.columns).assign(years=50.0)
    table = pseudo_labels.predict(models)
    mean = (parts["age"] + parts["age"][:, ::-1]) / 2
    assert table.photo.tolist() == index.tolist()
    assert (table.years == 45).all()
    assert (table.age_group == mean.argmax(1)).all()
    np.testing.assert_allclose(table.age_group_confidence, mean.max(1))
    np.testing.assert_allclose(table.gender_confidence, parts["gender"].max(1))
    assert (table["mask"] == parts["mask"].argmax(1)).all()
