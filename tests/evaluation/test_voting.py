"""Averages of runs, and tasks put together to the 18 classes."""

import numpy as np
import pandas as pd
import pytest
from leaning import lean_towards

from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, encode, joint
from portrait18.evaluation import voting
from portrait18.evaluation.ensemble_config import TaskPredictions

RNG = np.random.default_rng(0)


def member(fold, validation, value):
    rows = [("validation", photo, value, 1 - value) for photo in validation] + [
        ("eval", "e", value, 1 - value)
    ]
    return pd.DataFrame(rows, columns=["set", "photo", *GENDER.columns])


def test_average_takes_validation_photos_from_their_fold_and_evaluation_photos_from_all():
    table = voting.average_members(
        [member(0, ["b", "a"], 0.2), member(1, ["c"], 0.6), member(1, ["c"], 1.0)],
        ["set", "photo"],
    )
    assert table.loc["validation"].index.tolist() == ["a", "b", "c"]
    assert table.loc["validation"].gender_male.tolist() == pytest.approx([0.2, 0.2, 0.8])
    assert table.loc[("eval", "e"), "gender_male"] == pytest.approx(0.6)
    np.testing.assert_allclose(table.sum(axis=1), 1)


def three(count=50):
    return {
        t.name: lean_towards(RNG.integers(0, len(t.classes), count), 1, 5, len(t.classes))
        for t in TASKS.values()
    }


def test_assemble_puts_three_tasks_into_class_numbers():
    parts = three()
    predicted = {name: RNG.integers(0, p.shape[1], 50) for name, p in parts.items()}
    photos, years = pd.Index([f"{i}.jpg" for i in range(50)]), np.linspace(20, 70, 50)
    table = voting.assemble(
        {n: TaskPredictions(parts[n], predicted[n]) for n in parts}, photos, years
    )
    assert table.photo.tolist() == photos.tolist()
    assert (table.years == years).all()
    for name, task in TASKS.items():
        assert (table[task.columns].to_numpy() == parts[name]).all()
        assert (table[name] == predicted[name]).all()
    assert (
        table["class"] == encode(predicted["mask"], predicted["gender"], predicted["age"])
    ).all()
    np.testing.assert_allclose(voting.joint_of(table), joint(*parts.values()))


def test_assemble_splits_predictions_of_18_classes():
    eighteen, predicted = lean_towards(RNG.integers(0, 18, 50), 1, 6, 18), RNG.permutation(50) % 18
    table = voting.assemble({"all": TaskPredictions(eighteen, predicted)}, pd.RangeIndex(50), None)
    assert "years" not in table
    assert (table["class"] == predicted).all()
    assert (encode(table["mask"], table.gender, table.age) == predicted).all()
    assert (voting.joint_of(table) == eighteen).all()
    np.testing.assert_allclose(table[MASK.columns[2]], eighteen[:, 12:].sum(1))
    np.testing.assert_allclose(table[AGE.columns[0]], eighteen[:, ::3].sum(1))


def test_models_of_18_classes_also_predict_the_single_tasks():
    eighteen = pd.DataFrame(lean_towards(RNG.integers(0, 18, 5), 1, 7, 18), columns=ALL.columns)
    mask = pd.DataFrame(three(5)["mask"], columns=MASK.columns)
    assert voting.tasks_of({"a": eighteen, "b": eighteen}) == [ALL]
    assert voting.tasks_of({"a": eighteen, "b": mask}) == [MASK, GENDER, AGE]
    assert (voting.task_probabilities(ALL, eighteen) == eighteen.to_numpy()).all()
    assert (voting.task_probabilities(MASK, mask) == mask.to_numpy()).all()
    assert voting.task_probabilities(AGE, mask) is None
    male = eighteen.to_numpy().reshape(5, 3, 2, 3)[:, :, 0].sum((1, 2))
    np.testing.assert_allclose(voting.task_probabilities(GENDER, eighteen)[:, 0], male)
