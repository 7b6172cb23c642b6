"""The `train` section of params.yaml: what a model is and how it is trained."""

import re
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from portrait18.core.validation import Section, Share, holds, short, validate

#: Targets that are told years, and tell them.
YEAR_TARGETS = ("value", "distribution", "rank")

#: Backbones whose ImageNet weights an installed package carries.
BUNDLED = ("tf_efficientnet_lite0",)

#: Classes of each task. Repeated here because core imports nothing from the rest of the library.
CLASS_COUNTS = {"mask": 3, "gender": 2, "age": 3, "all": 18}

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
#: A weights file and the first digits of its sha256: with its content in the params, DVC sees when that changes.
WEIGHTS_FILE = re.compile(r"(?P<path>.+\.safetensors)@(?P<digest>[0-9a-f]{8,64})")


class SamplingParams(Section):
    balance: float = Share
    per_person: int = Field(ge=0)
    ratios: list[Annotated[float, Field(gt=0)]]
    repeat: list[Annotated[int, Field(ge=1)]]


class AugmentParams(Section):
    flip: float = Share
    rotate: float = Field(ge=0, le=180)
    zoom: float = Field(ge=0, lt=1)
    color: float = Share
    blur: float = Share
    erase: float = Share


class MixParams(Section):
    method: Literal["none", "mixup", "cutmix", "halves"]
    partner: Literal["any", "class"]
    alpha: float = Field(gt=0)
    probability: float = Share


class ModelParams(Section):
    """One entry of `train`: train.common overridden by train.<model>."""

    task: Literal["mask", "gender", "age", "all"]
    target: Literal["classes", "value", "distribution", "rank", "heads"]
    backbone: str
    weights: str
    image_size: int = Field(ge=32, le=1024)
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    optimizer: str
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    layer_decay: float = Field(gt=0, le=1)
    schedule: Literal["cosine", "step", "constant"]
    step_epochs: float = Field(gt=0)
    step_factor: float = Field(gt=0, le=1)
    warmup_epochs: float = Field(ge=0)
    freeze_epochs: int = Field(ge=0)
    ema: float = Field(ge=0, lt=1)
    patience: int = Field(ge=0)
    monitor: Literal["macro_f1", "accuracy", "loss"]
    amp: Literal["auto", "bf16", "float32"]
    num_workers: int = Field(ge=0)
    loss: str
    label_smoothing: float = Field(ge=0, lt=1)
    focal_gamma: float = Field(ge=0)
    cosine_weight: float = Field(ge=0)
    class_weight: float = Share
    class_weight_from: float = Share
    head: Literal["linear", "cosine", "unit"]
    scale: float = Field(gt=0)
    margin: float = Field(ge=0, lt=1.5)
    age_sigma: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    dropout_samples: int = Field(ge=1)
    drop_path: float = Field(ge=0, lt=1)
    sampling: SamplingParams
    augment: AugmentParams
    mix: MixParams

    @model_validator(mode="after")
    def _fits_together(self):
        needed = {"classes": self.task, "heads": "all"}.get(self.target, "age")
        if self.task != needed:
            raise ValueError(
                f"target: {self.target} needs task: {needed}, not {self.task}; use target: classes"
            )
        if self.head != "linear" and self.target not in ("classes", "heads"):
            raise ValueError(
                f"head: {self.head} needs target: classes or heads, not {self.target}; use head: linear"
            )
        classes = CLASS_COUNTS[self.task]
        for key, values in (("ratios", self.sampling.ratios), ("repeat", self.sampling.repeat)):
            if values and len(values) != classes:
                raise ValueError(
                    f"sampling.{key} = {values} has {len(values)} numbers, task {self.task} {classes} classes; give one for each, or []"
                )
        for name, source in self.sources():
            _require_source(name, source)
        return self

    def sources(self) -> list[tuple[str, str]]:
        """Name of each backbone, and where its weights come from.

        Raises:
            ValueError: neither one source for all nor one for each.
        """
        names, sources = self.backbone.split("+"), self.weights.split("+")
        if len(sources) not in (1, len(names)):
            raise ValueError(
                f"weights = {self.weights!r} names {len(sources)} sources for {len(names)} backbones ({self.backbone});"
                " name one for all, or one for each, joined by +"
            )
        return list(
            zip(names, sources if len(sources) == len(names) else sources * len(names), strict=True)
        )


def _require_source(name: str, source: str) -> None:
    if source == "bundled" and name not in BUNDLED:
        raise ValueError(
            f"weights = bundled: there are none for {name!r}; use {' | '.join(BUNDLED)}, or weights: hub or none"
        )
    if source in ("bundled", "hub", "none") or WEIGHTS_FILE.fullmatch(source):
        return
    if source.partition("@")[0].endswith(".safetensors"):
        raise ValueError(
            f"weights = {source!r} does not tell the file's content, which may change under its name; write"
            f" {source.partition('@')[0]}@ and behind it the first digits, 8 or more, of its sha256sum"
        )
    raise ValueError(
        f"weights = {source!r}: only .safetensors files are read (a pickle can run code): convert it with"
        " safetensors.torch.save_file, or use bundled, hub or none"
    )


#: What each model says itself (and "", the section as a whole); the rest it takes from train.common.
_OF_EACH_MODEL = ("task", "target", "lr", "epochs", "")


def parse_models(
    path: str | Path, train: Any, used: Container[str], problems: list[str]
) -> dict[str, ModelParams | None]:
    """All models of a `train` section by their names, None in place of a faulty one; its faults go to `problems`.

    Params that don't go together count in the models of `used` only: `train.common.loss` may be one
    that the sections nobody asked for can't have.
    """
    if not isinstance(train, dict) or not isinstance(train.get("common"), dict):
        problems.append(f"{path}: train.common is missing; it holds what every model shares")
        return {}
    common = train["common"]
    models = {}
    for name, own in ((str(name), own) for name, own in train.items() if name != "common"):
        if not MODEL_NAME.fullmatch(name):
            problems.append(
                f"{path}: train.{name}: a model's name is made of letters, digits, - and _;"
                " files and folders are called by it, rename it"
            )
            models[name] = None
            continue
        if not isinstance(own, dict):
            problems.append(
                f"{path}: train.{name} = {short(own)} must be a section with at least task and target"
            )
            continue
        merged = dict(common)
        for key, value in own.items():
            both = isinstance(value, dict) and isinstance(common.get(key), dict)
            merged[key] = {**common[key], **value} if both else value

        def where(key: str, name=name, own=own) -> str:
            of_model = holds(own, key) or key.split(".")[0] in _OF_EACH_MODEL
            return f"{path}: train.{name if of_model else 'common'}.{key}"

        faults: list[str] = []
        models[name] = validate(ModelParams, merged, where, faults)
        of_section = f"{path}: train.{name}: "
        problems += [fault for fault in faults if name in used or not fault.startswith(of_section)]
    return models
