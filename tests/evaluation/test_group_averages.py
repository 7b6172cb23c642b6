"""Averages of gender and age over the photos of each person."""

import numpy as np
import pandas as pd

from portrait18.dataset.classes import AGE, ALL, GENDER, MASK, TASKS, joint
from portrait18.evaluation import group_averages


def predictions(count=6):
    """Predictions of two validation and four evaluation photos, with years."""
    rng = np.random.default_rng(0)
    columns = {
        c: rng.random(count) for c in [*GENDER.columns, *AGE.columns, *MASK.columns, "years"]
    }
    index = pd.MultiIndex.from_tuples(
        [("validation", n) for n in "ab"] + [("eval", n) for n in "abcd"]
    )
    return pd.DataFrame(columns, index.set_names(["set", "photo"]))


def test_gender_age_and_years_are_averaged_over_each_group_of_a_set():
    table = predictions()
    before = table.copy()
    groups = pd.DataFrame(
        {
            "set": ["eval"] * 4 + ["validation"] * 2,
            "photo": list("dcba") + list("ab"),
            "group": [0, 1, 0, 0, 0, 1],
        }
    )
    found = group_averages.average({"all": table}, groups)["all"]
    assert found.index.equals(table.index)
    for column in [*GENDER.columns, *AGE.columns, "years"]:
        mean = (
            table[column].iloc[[2, 3, 5]].mean()
        )  # a, b and d; c and the validation photos are alone
        expected = [*table[column].iloc[:2], mean, mean, table[column].iloc[4], mean]
        np.testing.assert_allclose(found[column], expected)
    assert (found[MASK.columns] == table[MASK.columns]).all(axis=None)
    pd.testing.assert_frame_equal(table, before)


def test_18_class_probabilities_are_split_and_keep_their_own_mask():
    parts = [
        np.random.default_rng(i).dirichlet(np.ones(len(t.classes)), 6)
        for i, t in enumerate(TASKS.values())
    ]
    table = pd.DataFrame(joint(*parts), predictions().index, ALL.columns)
    groups = table.index.to_frame(index=False).assign(group=0)
    found = group_averages.average({"all": table}, groups)["all"]
    assert not set(ALL.columns) & set(found)
    np.testing.assert_allclose(found[MASK.columns], parts[0])
    np.testing.assert_allclose(
        found.loc["eval", AGE.columns], np.tile(parts[2][2:].mean(0), (4, 1))
    )


def test_photos_count_by_the_weights_of_their_predicted_masks():
    table = predictions()
    groups = table.index.to_frame(index=False).assign(group=[0, 0, 1, 1, 1, 1])
    weights = {"gender": (1.0, 4.0, 16.0), "age": (1.0, 2.0, 8.0)}
    found = group_averages.average({"all": table}, groups, weights)["all"].loc["eval"]
    photos = table.loc["eval"]
    for columns, own in ((GENDER.columns, weights["gender"]), ([*AGE.columns, "years"], (1, 2, 8))):
        shares = photos[MASK.columns].to_numpy() @ own
        for column in columns:
            np.testing.assert_allclose(found[column], np.average(photos[column], weights=shares))


def test_masks_are_those_of_the_models_that_predict_them():
    table = predictions()
    models = {"mask": table[MASK.columns], "age": table[AGE.columns]}
    groups = table.index.to_frame(index=False).assign(group=0)
    weights = {"gender": (1.0, 1.0, 1.0), "age": (1.0, 2.0, 8.0)}
    found = group_averages.average(models, groups, weights)
    together = group_averages.average({"all": table}, groups, weights)["all"]
    pd.testing.assert_frame_equal(found["mask"], models["mask"])
    pd.testing.assert_frame_equal(found["age"], together[AGE.columns])


def people(right: dict[int, float], count=300):
    """Three validation photos of each person, one of each mask class, and their labels.

    Args:
        right: mask class -> share of its photos whose gender and age are predicted right.
    """
    rng = np.random.default_rng(0)
    mask, gender, age = (
        np.tile(range(3), count),
        *(rng.integers(0, n, count).repeat(3) for n in (2, 3)),
    )
    photos = pd.Index([f"{n}.jpg" for n in range(3 * count)], name="photo")
    labels = pd.DataFrame({"mask": mask, "gender": gender, "age_group": age}, photos)
    hit = rng.random(3 * count) < np.array([right[m] for m in mask])
    columns = {}
    for task, truth in ((MASK, mask), (GENDER, gender), (AGE, age)):
        classes = len(task.classes)
        shown = truth if task is MASK else np.where(hit, truth, (truth + 1) % classes)
        probability = 0.98 if task is MASK else 0.8
        values = np.full((3 * count, classes), (1 - probability) / (classes - 1))
        values[np.arange(3 * count), shown] = probability
        columns |= dict(zip(task.columns, values.T, strict=True))
    index = pd.MultiIndex.from_product([["validation"], photos], names=["set", "photo"])
    groups = index.to_frame(index=False).assign(group=np.arange(count).repeat(3))
    return pd.DataFrame(columns, index), groups, labels


def log_loss(table, labels, weights, groups):
    """Mean log loss of the averages of the gender."""
    found = group_averages.average({"all": table}, groups, weights)["all"][GENDER.columns]
    return -np.log(found.to_numpy()[np.arange(len(labels)), labels.gender]).mean()


def test_bare_faces_count_more_where_they_tell_more():
    table, groups, labels = people({0: 0.7, 1: 0.7, 2: 0.8})
    weights = group_averages.fit_weights({"all": table}, groups, labels)
    assert weights.keys() == {"gender", "age"}
    worn, incorrect, bare = weights["gender"]
    assert worn == 1
    assert 2 * incorrect < bare < group_averages.CANDIDATES[-1]
    best = log_loss(table, labels, weights, groups)
    assert best < log_loss(table, labels, None, groups) - 0.005
    for factor in (0.5, 2):
        other = {**weights, "gender": (worn, incorrect, factor * bare)}
        assert best <= log_loss(table, labels, other, groups)


def test_photos_count_equally_where_all_tell_the_same():
    table, groups, labels = people(dict.fromkeys(range(3), 0.8), count=2000)
    weights = group_averages.fit_weights({"all": table}, groups, labels)
    assert max(max(each) for each in weights.values()) <= 2


def test_only_validation_photos_are_fitted():
    table, groups, labels = people({0: 0.7, 1: 0.7, 2: 0.8})
    expected = group_averages.fit_weights({"all": table}, groups, labels)
    others = table.rename({"validation": "eval"}, level="set")
    others[GENDER.columns] = others[GENDER.columns].to_numpy()[:, ::-1]
    both = pd.concat([table, others])
    known = pd.concat([groups, groups.assign(set="eval")])
    assert group_averages.fit_weights({"all": both}, known, labels) == expected
    none = group_averages.fit_weights({"all": others}, known, labels)
    assert none == {"gender": (1, 1, 1), "age": (1, 1, 1)}
