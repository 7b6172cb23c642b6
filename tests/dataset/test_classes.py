import numpy as np
import pandas as pd
import pytest

from portrait18.dataset import classes


@pytest.mark.parametrize(
    ("mask", "gender", "age", "class_id"),
    [
        ("worn", "male", "young", 0),
        ("worn", "male", "old", 2),
        ("worn", "female", "young", 3),
        ("worn", "female", "old", 5),
        ("incorrect", "male", "young", 6),
        ("incorrect", "female", "middle", 10),
        ("none", "male", "middle", 13),
        ("none", "female", "old", 17),
    ],
)
def test_class_ids_equal_those_of_the_competition(mask, gender, age, class_id):
    parts = [
        task.classes.index(c)
        for task, c in zip(classes.TASKS.values(), (mask, gender, age), strict=True)
    ]
    assert classes.encode(*parts) == class_id
    assert classes.decode(class_id) == dict(zip(("mask", "gender", "age"), parts, strict=True))


def test_every_class_id_survives_decoding_and_encoding():
    class_ids = np.arange(18)
    assert (classes.encode(**classes.decode(class_ids)) == class_ids).all()
    assert classes.encode(**classes.decode(pd.Series(class_ids))).tolist() == class_ids.tolist()


def test_names_are_in_the_order_of_the_class_ids():
    assert len(classes.CLASS_NAMES) == len(set(classes.CLASS_NAMES)) == 18
    assert classes.CLASS_NAMES[0] == "worn male <30"
    assert classes.CLASS_NAMES[10] == "incorrect female 30-59"
    assert classes.CLASS_NAMES[17] == "none female >=60"


def test_file_stems_give_the_mask_class():
    assert classes.MASK_BY_STEM == {
        "normal": 2, "incorrect_mask": 1, "mask1": 0, "mask2": 0, "mask3": 0, "mask4": 0, "mask5": 0
    }  # fmt: skip


@pytest.mark.parametrize(("years", "group"), [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2), (100, 2)])
def test_age_boundaries_are_30_and_60(years, group):
    assert classes.age_group(years) == group


def test_age_boundaries_can_be_moved():
    assert classes.age_group(np.array([24, 25, 57, 58]), young_below=25, old_from=58).tolist() == [
        0,
        1,
        1,
        2,
    ]


def test_probability_columns_name_task_and_class():
    assert classes.MASK.columns == ["mask_worn", "mask_incorrect", "mask_none"]
    assert classes.ALL.columns[0] == "all_0"
    assert len(classes.ALL.columns) == 18


def test_joint_has_the_product_at_the_class_id():
    rng = np.random.default_rng(0)
    mask, gender, age = (rng.dirichlet(np.ones(n), 4) for n in (3, 2, 3))
    joint = classes.joint(mask, gender, age)
    assert joint.shape == (4, 18)
    assert joint[3, classes.encode(1, 0, 2)] == pytest.approx(mask[3, 1] * gender[3, 0] * age[3, 2])


def test_marginals_invert_joint():
    rng = np.random.default_rng(1)
    parts = {
        name: rng.dirichlet(np.ones(len(task.classes)), 5) for name, task in classes.TASKS.items()
    }
    found = classes.marginals(classes.joint(**parts))
    for name, part in parts.items():
        np.testing.assert_allclose(found[name], part)


def test_label_columns_are_those_of_labels_csv():
    tasks = (classes.MASK, classes.GENDER, classes.AGE, classes.ALL)
    assert [task.label_column for task in tasks] == ["mask", "gender", "age_group", "class"]
