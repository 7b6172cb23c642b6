"""Averages of gender and age over the photos of each person."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

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


def photo_weights(table, gender, age):
    """Return the weights of photos from those of the mask classes."""
    mask = table[MASK.columns].to_numpy()
    return {"gender": mask @ np.array(gender), "age": mask @ np.array(age)}


def test_photos_have_the_weights_of_their_predicted_masks():
    table = predictions()
    groups = table.index.to_frame(index=False).assign(group=[0, 0, 1, 1, 1, 1])
    weights = photo_weights(table, (1, 4, 16), (1, 2, 8))
    found = group_averages.average({"all": table}, groups, weights)["all"].loc["eval"]
    photos = table.loc["eval"]
    for task, columns in (("gender", GENDER.columns), ("age", [*AGE.columns, "years"])):
        for column in columns:
            mean = np.average(photos[column], weights=weights[task][2:])
            np.testing.assert_allclose(found[column], mean)


def people(right: dict[int, float], count=300):
    """Return validation and evaluation photos of people, one photo of each mask class.

    Args:
        right: mask class -> share of its photos whose gender and age are predicted right.
        count: people of each set.

    Returns:
        Predictions, groups, and labels of both sets.
    """
    rng = np.random.default_rng(0)
    person = np.arange(2 * count).repeat(3)
    mask = np.tile(range(3), 2 * count)
    gender, age = (rng.integers(0, n, 2 * count).repeat(3) for n in (2, 3))
    photos = pd.Index([f"{n}.jpg" for n in range(6 * count)], name="photo")
    truth = {"person": person, "mask": mask, "gender": gender, "age_group": age}
    hit = rng.random(6 * count) < np.array([right[m] for m in mask])
    columns = {}
    for task, classes in ((MASK, mask), (GENDER, gender), (AGE, age)):
        others = len(task.classes) - 1
        shown = classes if task is MASK else np.where(hit, classes, (classes + 1) % (others + 1))
        probability = 0.98 if task is MASK else 0.8
        values = np.full((6 * count, others + 1), (1 - probability) / others)
        values[np.arange(6 * count), shown] = probability
        columns |= dict(zip(task.columns, values.T, strict=True))
    sets = np.array(["validation", "eval"]).repeat(3 * count)
    index = pd.MultiIndex.from_arrays([sets, photos], names=["set", "photo"])
    groups = index.to_frame(index=False).assign(group=person)
    return pd.DataFrame(columns, index), groups, pd.DataFrame(truth, photos)


def log_loss(table, groups, labels, weights, which):
    """Return the mean log loss of the averages of the gender."""
    found = group_averages.average({"all": table}, groups, weights)["all"].loc[which]
    truth = labels.gender.loc[found.index].to_numpy()
    return -np.log(found[GENDER.columns].to_numpy()[np.arange(len(truth)), truth]).mean()


def test_bare_faces_get_higher_weights_if_they_are_more_accurate():
    table, groups, labels = people({0: 0.7, 1: 0.7, 2: 0.8}, count=1000)
    weights = group_averages.fit_weights({"all": table}, groups, labels)
    worn, incorrect, bare = weights.by_mask["gender"]
    assert worn == 1
    assert 2 * incorrect < bare < group_averages.CANDIDATES[-1]
    for which in ("validation", "eval"):
        fitted, equal = (
            log_loss(table, groups, labels, w, which) for w in (weights.by_photo, None)
        )
        assert fitted < equal - 0.003
    mask = table.loc["eval", MASK.columns].to_numpy()
    expected = mask @ np.array((worn, incorrect, bare))
    np.testing.assert_allclose(weights.by_photo["gender"][len(mask) :], expected)


def test_the_weights_have_the_lowest_log_loss_on_validation_people():
    table, groups, labels = people({0: 0.7, 1: 0.7, 2: 0.8}, count=1000)
    best = group_averages.fit_weights({"all": table}, groups, labels).by_mask["gender"]

    def loss(weights):
        photos = photo_weights(table, weights, weights)
        return log_loss(table, groups, labels, photos, "validation")

    losses = [loss((1, *others)) for others in product(group_averages.CANDIDATES, repeat=2)]
    assert loss(best) == min(losses) < max(losses)


def test_validation_photos_have_weights_fitted_on_other_people():
    table, groups, labels = people({0: 0.7, 1: 0.7, 2: 0.8}, count=60)
    before = group_averages.fit_weights({"all": table}, groups, labels).by_photo["gender"]
    person = labels.person == 7
    flipped = labels.assign(gender=labels.gender.where(~person, 1 - labels.gender))
    after = group_averages.fit_weights({"all": table}, groups, flipped).by_photo["gender"]
    changed = before != after
    assert changed.any(), "no weight depends on the labels"
    assert not changed[person.to_numpy()].any()


@pytest.mark.parametrize("count", [1, 2, 8, 20, 300])
def test_weights_are_equal_where_all_photos_are_equally_accurate(count):
    table, groups, labels = people(dict.fromkeys(range(3), 0.8), count)
    weights = group_averages.fit_weights({"all": table}, groups, labels)
    assert all(each == group_averages.EQUAL for each in weights.by_mask.values())
    assert all((each == 1).all() for each in weights.by_photo.values())


def test_a_mask_class_without_validation_photos_keeps_the_weight_1():
    table, groups, labels = people({0: 0.6, 1: 0.9, 2: 0.9})
    labels["mask"] = labels["mask"].replace(2, 0)
    weights = group_averages.fit_weights({"all": table}, groups, labels)
    worn, incorrect, bare = weights.by_mask["gender"]
    assert (worn, bare) == (1, 1), "predicted bare faces are accurate, but none is one"
    assert incorrect > 1


def test_without_validation_photos_all_photos_are_equal():
    table, groups, labels = people({0: 0.6, 1: 0.6, 2: 0.9})
    only = table[table.index.get_level_values("set") == "eval"]
    weights = group_averages.fit_weights({"all": only}, groups, labels)
    assert weights.by_mask == dict.fromkeys(("gender", "age"), group_averages.EQUAL)
