"""The `train` section of params.yaml: models and how they are trained."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from portrait18.core.loss_params import LossParams, losses_for
from portrait18.core.validation import Float, Fraction, Int, Section, named, short
from portrait18.core.variants import (
    CLASS_TARGETS,
    HeadParams,
    MixParams,
    ScheduleParams,
    TargetParams,
)
from portrait18.core.weight_sources import check_source, pair_sources

#: Classes of each task. Repeated here because core imports nothing from the rest of the library.
CLASS_COUNTS = {"mask": 3, "gender": 2, "age": 3, "all": 18}

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
ROUND2 = "-round2"  # follows the name of a model in the files of round 2


class SamplingParams(Section):
    """Which photos an epoch sees, see `portrait18.training.sampling`."""

    balance: Float = Fraction
    per_person: Int = Field(ge=0)
    photos: Literal["random", "by_mask"]
    ratios: list[Annotated[Float, Field(gt=0)]]
    repeat: list[Annotated[Int, Field(ge=1)]]


class AugmentParams(Section):
    """Random changes to training photos, see `portrait18.training.augmentation`."""

    renamed: ClassVar[dict[str, str]] = {"zoom": "scale"}
    flip: Float = Fraction
    rotate: Float = Field(ge=0, le=180)
    scale: Float = Field(ge=0, lt=1)
    color: Float = Fraction
    blur: Float = Fraction
    erase: Float = Fraction
    randaugment: Int = Field(ge=0, le=14)
    randaugment_magnitude: Int = Field(ge=0, le=30)


class ModelParams(Section):
    """One model: train.common overridden by train.<model>."""

    renamed: ClassVar[dict[str, str]] = {
        "age_sigma": "target.sigma",
        "best_by": "monitor",
        "class_weight": "loss.class_weight",
        "class_weight_from": "loss.class_weight_from",
        "cosine_weight": "loss.weight",
        "ema": "ema_decay",
        "focal_gamma": "loss.gamma",
        "label_smoothing": "loss.label_smoothing",
        "margin": "loss.margin",
        "scale": "head.scale",
        "step_epochs": "schedule.epochs",
        "step_factor": "schedule.factor",
    }
    task: Literal["mask", "gender", "age", "all"]
    target: TargetParams
    people: Literal["all", "female", "male"] = "all"
    backbone: str
    weights: str
    image_size: Int = Field(ge=32, le=1024)
    clahe: Float = Field(ge=0)
    epochs: Int = Field(ge=1)
    batch_size: Int = Field(ge=2)
    optimizer: str
    lr: Float = Field(gt=0)
    weight_decay: Float = Field(ge=0)
    layer_decay: Float = Field(gt=0, le=1)
    schedule: ScheduleParams
    warmup_epochs: Float = Field(ge=0)
    freeze_epochs: Int = Field(ge=0)
    ema_decay: Float = Field(ge=0, lt=1)
    patience: Int = Field(ge=0)
    monitor: Literal["macro_f1", "accuracy", "loss"]
    amp: Literal["auto", "bf16", "float32"]
    num_workers: Int = Field(ge=0)
    loss: LossParams
    head: HeadParams
    dropout: Float = Field(ge=0, lt=1)
    dropout_samples: Int = Field(ge=1)
    drop_path: Float = Field(ge=0, lt=1)
    sampling: SamplingParams
    augment: AugmentParams
    mix: MixParams

    @model_validator(mode="after")
    def _check_consistency(self) -> "ModelParams":
        task, target, loss, head = self.task, self.target, self.loss, self.head
        if target.task not in ("", task):
            raise ValueError(
                f"target: {target.name} needs task: {target.task}, not {task}; use target: classes"
            )
        if self.people != "all" and task != "age":
            raise ValueError(
                f"people: {self.people} needs task: age, not {task}; use people: all, or task: age"
            )
        if head.classes_only and not target.classes:
            raise ValueError(
                f"head: {head.name} needs target: {' or '.join(CLASS_TARGETS)}, not {target.name};"
                " use head: linear"
            )
        if target.name not in loss.targets:
            raise ValueError(
                f"loss: {loss.name} does not go with target: {target.name};"
                f" use loss: {' | '.join(losses_for(target.name))}"
            )
        if loss.head not in ("", head.name):
            raise ValueError(f"loss: {loss.name} needs head: {loss.head}, not {head.name}")
        classes = CLASS_COUNTS[task]
        for key, values in (("ratios", self.sampling.ratios), ("repeat", self.sampling.repeat)):
            if values and len(values) != classes:
                raise ValueError(
                    f"sampling.{key} = {values} has {len(values)} numbers, but task {task} has"
                    f" {classes} classes; give one number per class, or []"
                )
        for name, source in self.sources():
            check_source(name, source, "backbone")
        return self

    def sources(self) -> list[tuple[str, str]]:
        """Return the name of each backbone and the source of its weights.

        Raises:
            ValueError: there is neither one source for all backbones nor one for each.
        """
        return pair_sources(self.backbone.split("+"), self.weights)


#: Keys that each model sets itself ("": the whole section); others may come from train.common.
_PER_MODEL = ("task", "target", "lr", "epochs", "")
#: Keys that select a variant by its name, see `portrait18.core.variants` and `loss_params`.
_SELECTING = ("target", "schedule", "loss", "head", "mix")


def merge(common: dict, own: dict) -> dict:
    """Return train.common overridden by a model's own section.

    A nested section is merged key by key. If it selects another variant by `name`, it replaces the
    common one, because the keys of the two differ.
    """
    merged = dict(common)
    for key, value in own.items():
        shared = common.get(key)
        if key in _SELECTING:
            value, shared = named(value), named(shared)
        if isinstance(value, dict) and isinstance(shared, dict):
            both = {**shared, **value}
            replaces = key in _SELECTING and both.get("name") != shared.get("name")
            value = value if replaces else both
        merged[key] = value
    return merged


def merge_models(
    path: str | Path, train: Any, problems: list[str]
) -> dict[str, tuple[dict, Callable[[str], str]]]:
    """Merge train.common into each model of a `train` section.

    Args:
        path: the file, for messages.
        train: the section as YAML holds it.
        problems: a line is appended for each error.

    Returns:
        For each model that could be merged, the merged section and a function from a dotted key to
        its name in messages, which is under train.common if the value comes from there.
    """
    if not isinstance(train, dict) or not isinstance(train.get("common"), dict):
        problems.append(f"{path}: train.common is missing; it holds what all models share")
        return {}
    merged: dict[str, tuple[dict, Callable[[str], str]]] = {}
    for name, own in ((str(name), own) for name, own in train.items() if name != "common"):
        if not MODEL_NAME.fullmatch(name):
            problems.append(
                f"{path}: train.{name}: a model name may contain only letters, digits, - and _,"
                " because files are named after it; rename the model"
            )
        elif name.endswith(ROUND2):
            problems.append(
                f"{path}: train.{name}: files of a model's round 2 (pseudo_label) are named with"
                f" {ROUND2}; rename the model"
            )
        elif not isinstance(own, dict):
            problems.append(
                f"{path}: train.{name} = {short(own)} must be a section with at least task and"
                " target"
            )
        else:

            def where(key: str, name: str = name, own: dict = own) -> str:
                return f"{path}: train.{name if _is_own(own, key) else 'common'}.{key}".rstrip(".")

            merged[name] = merge(train["common"], own), where
    return merged


def _is_own(own: dict, key: str) -> bool:
    """Return whether the value of a dotted key comes from a model's own section."""
    first, *rest = key.split(".")
    if first in _PER_MODEL:
        return True
    value = named(own.get(first)) if first in _SELECTING else own.get(first)
    if first in _SELECTING and isinstance(value, dict) and "name" in value:
        return True  # this section selects the variant, so a missing key is missing here
    for part in rest:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return first in own
