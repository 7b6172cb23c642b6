"""The 18 classes: three tasks, their classes, and `class = 6 * mask + 3 * gender + age`."""

from typing import NamedTuple

import numpy as np

YOUNG_BELOW, OLD_FROM = (
    30,
    60,
)  # years: the competition's thresholds, which every score is measured by


class Task(NamedTuple):
    """A question about a photo; `classes` in the order of their indices."""

    name: str
    classes: tuple[str, ...]
    weight: int  # what one step of the index adds to the 18-class number

    @property
    def columns(self) -> list[str]:
        """Names of the probability columns, e.g. `mask_worn`."""
        return [f"{self.name}_{c}" for c in self.classes]


MASK = Task("mask", ("worn", "incorrect", "none"), 6)
GENDER = Task("gender", ("male", "female"), 3)
AGE = Task("age", ("young", "middle", "old"), 1)
TASKS = {task.name: task for task in (MASK, GENDER, AGE)}

COUNT = 18
#: What is printed for people: "worn male <30", ... in the order of the class number.
NAMES = [
    f"{m} {g} {a}" for m in MASK.classes for g in GENDER.classes for a in ("<30", "30-59", ">=60")
]
#: The one 18-class question (`task: all`).
ALL = Task("all", tuple(str(i) for i in range(COUNT)), 1)

#: File stem of a training photo -> index of its mask class.
MASK_STATES = {"normal": 2, "incorrect_mask": 1, **{f"mask{i}": 0 for i in range(1, 6)}}


def encode(mask, gender, age):
    """Class number 0..17 of the three indices; works on ints, arrays and Series alike."""
    return MASK.weight * mask + GENDER.weight * gender + AGE.weight * age


def decode(number) -> dict:
    """The three indices of a class number: `{"mask": 0..2, "gender": 0..1, "age": 0..2}`."""
    return {task.name: number // task.weight % len(task.classes) for task in TASKS.values()}


def age_group(years, young_below: int = YOUNG_BELOW, old_from: int = OLD_FROM):
    """Index of the age group: 0 under `young_below`, 2 from `old_from` years on, 1 between."""
    years = np.asarray(years)
    return (years >= young_below).astype(np.int64) + (years >= old_from)


def marginals(joint: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities per task, shapes (N, 3), (N, 2), (N, 3), of 18-class probabilities (N, 18)."""
    cube = joint.reshape(len(joint), *(len(t.classes) for t in TASKS.values()))
    return {"mask": cube.sum((2, 3)), "gender": cube.sum((1, 3)), "age": cube.sum((1, 2))}


def joint(mask: np.ndarray, gender: np.ndarray, age: np.ndarray) -> np.ndarray:
    """18-class probabilities (N, 18) of three tasks taken as independent."""
    return np.einsum("nm,ng,na->nmga", mask, gender, age).reshape(len(mask), COUNT)
