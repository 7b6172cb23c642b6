import numpy as np
import pandas as pd
import pytest

from portrait18.dataset import classes


@pytest.mark.parametrize(
    ("mask", "gender", "age", "number"),
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
def test_class_numbers_are_the_competition_s(mask, gender, age, number):
    parts = [
        task.classes.index(c)
        for task, c in zip(classes.TASKS.values(), (mask, gender, age), strict=True)
    ]
    assert classes.encode(*parts) == number
    assert classes.decode(number) == dict(zip(("mask", "gender", "age"), parts, strict=True))


def test_every_class_number_survives_decoding_and_encoding():
    numbers = np.arange(18)
    assert (classes.encode(**classes.decode(numbers)) == numbers).all()
    assert classes.encode(**classes.decode(pd.Series(numbers))).tolist() == numbers.tolist()


def test_names_stand_in_the_order_of_the_numbers():
    assert len(classes.CLASS_NAMES) == len(set(classes.CLASS_NAMES)) == 18
    assert classes.CLASS_NAMES[0] == "worn male <30"
    assert classes.CLASS_NAMES[10] == "incorrect female 30-59"
    assert classes.CLASS_NAMES[17] == "none female >=60"


def test_file_names_tell_the_mask_state():
    assert classes.MASK_BY_STEM == {
        "normal": 2, "incorrect_mask": 1, "mask1": 0, "mask2": 0, "mask3": 0, "mask4": 0, "mask5": 0
    }  # fmt: skip


@pytest.mark.parametrize(("years", "group"), [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2), (100, 2)])
def test_age_borders_are_30_and_60(years, group):
    assert classes.age_group(years) == group


def test_age_borders_can_be_moved():
    assert classes.age_group(np.array([24, 25, 57, 58]), young_below=25, old_from=58).tolist() == [
        0,
        1,
        1,
        2,
    ]


def test_probability_columns_carry_task_and_class():
    assert classes.MASK.columns == ["mask_worn", "mask_incorrect", "mask_none"]
    assert classes.ALL.columns[0] == "all_0"
    assert len(classes.ALL.columns) == 18


def test_joint_puts_the_product_at_the_class_number():
    rng = np.random.default_rng(0)
    mask, gender, age = (rng.dirichlet(np.ones(n), 4) for n in (3, 2, 3))
    joint = classes.joint(mask, gender, age)
    assert joint.shape == (4, 18)
    assert joint[3, classes.encode(1, 0, 2)] == pytest.approx(mask[3, 1] * gender[3, 0] * age[3, 2])


def test_marginals_undo_joint():
    rng = np.random.default_rng(1)
    parts = {
        name: rng.dirichlet(np.ones(len(task.classes)), 5) for name, task in classes.TASKS.items()
    }
    found = classes.marginals(classes.joint(**parts))
    for name, part in parts.items():
        np.testing.assert_allclose(found[name], part)
