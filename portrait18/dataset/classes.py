"""The 18 classes: three tasks, their classes, and `class = 6 * mask + 3 * gender + age`."""

from typing import NamedTuple

import numpy as np

#: Age boundaries of the competition in years. Every score uses them.
YOUNG_BELOW, OLD_FROM = 30, 60


class Task(NamedTuple):
    """One question about a photo.

    Attributes:
        name: key of the task.
        classes: class names in the order of their indices.
        stride: difference of the 18-class id between two neighboring classes.
    """

    name: str
    classes: tuple[str, ...]
    stride: int

    @property
    def columns(self) -> list[str]:
        """Names of the probability columns, e.g. `mask_worn`."""
        return [f"{self.name}_{c}" for c in self.classes]

    @property
    def label_column(self) -> str:
        """Column of data/labels.csv that holds the true class index.

        The column `age` holds years, so the age task uses `age_group`.
        """
        return {"age": "age_group", "all": "class"}.get(self.name, self.name)


MASK = Task("mask", ("worn", "incorrect", "none"), 6)
GENDER = Task("gender", ("male", "female"), 3)
AGE = Task("age", ("young", "middle", "old"), 1)
TASKS = {task.name: task for task in (MASK, GENDER, AGE)}

NUM_CLASSES = 18
#: Readable names, "worn male <30", ..., in the order of the class ids.
CLASS_NAMES = [
    f"{m} {g} {a}" for m in MASK.classes for g in GENDER.classes for a in ("<30", "30-59", ">=60")
]
#: The 18 classes as one task (`task: all`).
ALL = Task("all", tuple(str(i) for i in range(NUM_CLASSES)), 1)

#: File stem of a training photo -> index of its mask class.
MASK_BY_STEM = {"normal": 2, "incorrect_mask": 1, **{f"mask{i}": 0 for i in range(1, 6)}}


def encode(mask, gender, age):
    """Return the class id 0..17 of three class indices; accepts ints, arrays and Series."""
    return MASK.stride * mask + GENDER.stride * gender + AGE.stride * age


def decode(class_id) -> dict:
    """Return the class indices of a class id: `{"mask": 0..2, "gender": 0..1, "age": 0..2}`."""
    return {task.name: class_id // task.stride % len(task.classes) for task in TASKS.values()}


def age_group(years, young_below: int = YOUNG_BELOW, old_from: int = OLD_FROM) -> np.ndarray:
    """Return the age group: 0 below `young_below` years, 2 from `old_from` on, else 1."""
    years = np.asarray(years)
    return (years >= young_below).astype(np.int64) + (years >= old_from)


def marginals(joint: np.ndarray) -> dict[str, np.ndarray]:
    """Return the probabilities per task, (N, 3), (N, 2) and (N, 3), of joint ones (N, 18)."""
    cube = joint.reshape(len(joint), *(len(t.classes) for t in TASKS.values()))
    return {"mask": cube.sum((2, 3)), "gender": cube.sum((1, 3)), "age": cube.sum((1, 2))}


def joint(mask: np.ndarray, gender: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Return 18-class probabilities (N, 18) of three tasks, assumed to be independent."""
    return np.einsum("nm,ng,na->nmga", mask, gender, age).reshape(len(mask), NUM_CLASSES)
