"""Params, photos and labels small enough to train on within seconds."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import yaml
from synthetic import REPO

from portrait18.core.data_params import CropParams
from portrait18.core.loss_params import LossParams
from portrait18.core.model_params import ModelParams
from portrait18.core.validation import tagged
from portrait18.core.variants import (
    HeadParams,
    MixParams,
    ScheduleParams,
    TargetParams,
)
from portrait18.dataset import photos
from portrait18.dataset.classes import age_group, encode
from portrait18.dataset.tables import write_csv


def sampling(**changes) -> dict:
    usual = {"balance": 0, "per_person": 0, "photos": "random", "ratios": [], "repeat": []}
    return usual | changes


def variant(params: Any, name: str, **changes) -> dict:
    """A variant of e.g. LossParams with usual values and some changes."""
    fields = tagged(get_args(params)[0])[name].model_fields
    usual = {key: field.examples[0] for key, field in fields.items() if field.examples}
    return {"name": name, **usual, **changes}


def loss(name: str = "cross-entropy", **changes) -> dict:
    usual = variant(LossParams, name)
    if "label_smoothing" in usual:
        usual["label_smoothing"] = 0.0
    return usual | changes


def mix(name: str, **changes) -> dict:
    return variant(MixParams, name, **changes)


NO_AUGMENTATION = {"flip": 0, "rotate": 0, "scale": 0, "color": 0, "blur": 0, "erase": 0}
NO_AUGMENTATION |= {"randaugment": 0, "randaugment_magnitude": 9}
VARIANTS = {
    "schedule": ScheduleParams,
    "loss": LossParams,
    "head": HeadParams,
    "target": TargetParams,
    "mix": MixParams,
}
_SMALL = {
    "task": "mask",
    "target": "classes",
    "backbone": "test_efficientnet",
    "weights": "none",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 8,
    "optimizer": "adamw",
    "lr": 0.01,
    "layer_decay": 1.0,
    "schedule": "cosine",
    "warmup_epochs": 0.5,
    "ema_decay": 0.0,
    "patience": 0,
    "monitor": "macro_f1",
    "amp": "float32",
    "num_workers": 0,
    "loss": "cross-entropy",
    "head": "linear",
    "dropout": 0.2,
    "dropout_samples": 1,
    "drop_path": 0.0,
    "sampling": sampling(),
    "augment": NO_AUGMENTATION
    | {"flip": 0.5, "rotate": 5, "scale": 0.1, "color": 0.1, "blur": 0.1, "erase": 0.1},
    "mix": "none",
}


def model_params(**changes) -> ModelParams:
    """Params of a small mask model without pretrained weights.

    A bare name of a variant stands for it with usual values.
    """
    common = yaml.safe_load((REPO / "params.yaml").read_text())["train"]["common"]
    raw = {**common, **_SMALL, **changes}
    for key, params in VARIANTS.items():
        if isinstance(raw[key], str):
            raw[key] = loss(raw[key]) if key == "loss" else variant(params, raw[key])
    return ModelParams.model_validate(raw)


def crop_params(**changes) -> CropParams:
    usual = {
        "method": "mtcnn",
        "image_size": 32,
        "margin": 0.4,
        "align": "eyes",
        "min_face": 0.2,
        "batch_size": 4,
        "rotate": False,
    }
    return CropParams.model_validate({**usual, **changes})


def demo_photo(state: str = "normal", person: str = "000018_male_Asian_64") -> np.ndarray:
    return photos.read(REPO / "data/demo/train/images" / person / f"{state}.jpg")


def write_project(
    root: Path, crops: np.ndarray, labels: pd.DataFrame, folds: np.ndarray, eval_photos: int
) -> None:
    """Write crops, labels and folds as stages do; evaluation photos are the first ones."""
    (root / "data/crops").mkdir(parents=True)
    for split, count in (("train", len(crops)), ("eval", eval_photos)):
        np.save(root / f"data/crops/{split}.npy", crops[:count])
        write_csv(labels[["photo"]].head(count), root / f"data/crops/{split}.csv")
    write_csv(labels, root / "data/labels.csv")
    people = pd.DataFrame({"person": labels.person, "fold": folds}).drop_duplicates()
    write_csv(people, root / "data/folds.csv")


def colored_people(people: int = 10, side: int = 40) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Crops uint8 (N, side, side, 3), their labels, and their folds, 0 or 1.

    The color shows the mask state, the brightness the age. Each person has six crops, two of each
    state; every other person is in fold 0.
    """
    rng = np.random.default_rng(0)
    rows, crops = [], []
    for i in range(people):
        gender, age = i // 2 % 2, 20 + 50 * (i // 2) // max(1, people // 2 - 1)
        for n in range(6):
            color = np.full(3, 20.0 + age)
            color[n % 3] += 100
            crops.append((color + rng.normal(0, 12, (side, side, 3))).clip(0, 255).astype(np.uint8))
            rows.append((f"p{i}/{n}.jpg", f"p{i}", f"p{i}", n % 3, gender, age))
    labels = pd.DataFrame(rows, columns=["photo", "folder", "person", "mask", "gender", "age"])
    labels["age_group"] = labels["age_target"] = age_group(labels.age)
    labels["class"] = encode(labels["mask"], labels.gender, labels.age_group)
    labels["train"], labels["extra"] = 1, 0
    return np.stack(crops), labels, labels.person.str[1:].astype(int).to_numpy() % 2


CONTEXT_SHAPE, CONTEXT_BOX = (120, 96), (30.0, 20.0, 66.0, 70.0)


def sitting(person: int) -> np.ndarray:
    """Background and clothes of a person: coarse patches of color, float (H, W, 3)."""
    patches = np.random.default_rng([1, person]).uniform(30, 220, (6, 6, 3))
    return patches.repeat(CONTEXT_SHAPE[0] // 6, 0).repeat(CONTEXT_SHAPE[1] // 6, 1)


def shot(person: int, n: int) -> np.ndarray:
    """One photo of a sitting, with its own light, noise and face."""
    rng = np.random.default_rng([2, person, n])
    photo = (
        sitting(person) * rng.uniform(0.9, 1.1)
        + rng.uniform(-8, 8)
        + rng.normal(0, 4, (*CONTEXT_SHAPE, 3))
    )
    photo[20:70, 30:66] = rng.uniform(0, 255, 3)
    return photo.clip(0, 255).astype(np.uint8)
