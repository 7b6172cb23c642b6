"""params.yaml, typed and validated: unknown names get a suggestion, numbers written as text are cast."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from portrait18.classes import COUNT, TASKS
from portrait18.errors import UserError
from portrait18.validation import Section, holds, nearest, validate

Share = Field(ge=0, le=1)


class DataParams(Section):
    root: Path
    extra: Path


class CheckParams(Section):
    problems: Literal["stop", "skip"]
    max_pixels: int = Field(gt=0)


class LabelParams(Section):
    young_below: int = Field(ge=1, le=120)
    old_from: int = Field(ge=1, le=120)
    drop_ages: list[int]
    fixes: Literal["none", "sure", "all"]

    @model_validator(mode="after")
    def _ordered(self):
        if self.young_below >= self.old_from:
            raise ValueError(f"young_below ({self.young_below}) must be less than old_from ({self.old_from})")
        return self


class SplitParams(Section):
    folds: int = Field(ge=1, le=50)
    by: Literal["person", "photo"]
    seed: int = Field(ge=0)


class CropParams(Section):
    method: Literal["mtcnn", "centre"]
    size: int = Field(ge=32, le=1024)
    margin: float = Field(ge=-0.5, le=4)
    align: bool
    min_face: float = Field(gt=0, le=1)
    batch_size: int = Field(ge=1)


class MatrixParams(Section):
    models: list[str] = Field(min_length=1)
    folds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)

    @field_validator("models", "folds", "seeds")
    @classmethod
    def _unique(cls, values):
        if len(set(values)) < len(values):
            raise ValueError(f"{values} names something twice; name each once")
        return values


class SamplingParams(Section):
    balance: float = Share
    per_person: int = Field(ge=0)
    ratios: list[Annotated[float, Field(gt=0)]]
    repeat: list[Annotated[int, Field(ge=1)]]


class AugmentParams(Section):
    flip: float = Share
    rotate: float = Field(ge=0, le=180)
    zoom: float = Field(ge=0, lt=1)
    colour: float = Share
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
    size: int = Field(ge=32, le=1024)
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
    best_by: Literal["macro_f1", "accuracy", "loss"]
    amp: Literal["auto", "bf16", "float32"]
    workers: int = Field(ge=0)
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
            raise ValueError(f"target: {self.target} needs task: {needed}, not {self.task}; use target: classes")
        if self.head != "linear" and self.target not in ("classes", "heads"):
            raise ValueError(f"head: {self.head} needs target: classes or heads, not {self.target}; use head: linear")
        classes = COUNT if self.task == "all" else len(TASKS[self.task].classes)
        for key, values in (("ratios", self.sampling.ratios), ("repeat", self.sampling.repeat)):
            if values and len(values) != classes:
                raise ValueError(
                    f"sampling.{key} = {values} has {len(values)} numbers, task {self.task} {classes} classes; give one for each, or []"
                )
        return self


class GroupParams(Section):
    by: Literal["none", "column", "lookalike"]
    column: str
    threshold: float = Field(gt=0)
    largest: int = Field(ge=2)


class PredictParams(Section):
    batch_size: int = Field(ge=1)
    flip: bool
    zooms: list[Annotated[float, Field(ge=0.5, le=1)]] = Field(min_length=1)


class EnsembleParams(Section):
    vote: Literal["soft", "hard", "stacking"]
    weights: Literal["equal", "log-loss", "macro-f1"]
    decide: Literal["argmax", "offsets", "joint", "borders"]


SECTIONS: dict[str, type[Section]] = {
    "data": DataParams,
    "check": CheckParams,
    "label": LabelParams,
    "split": SplitParams,
    "crop": CropParams,
    "group": GroupParams,
    "matrix": MatrixParams,
    "predict": PredictParams,
    "ensemble": EnsembleParams,
}


class Params:
    """All of params.yaml, validated. Sections are attributes; models are made by `model(name)`."""

    def __init__(self, sections: dict[str, Section], models: dict[str, ModelParams]):
        self._models = models
        self.__dict__.update(sections)

    data: DataParams
    check: CheckParams
    label: LabelParams
    split: SplitParams
    crop: CropParams
    group: GroupParams
    matrix: MatrixParams
    predict: PredictParams
    ensemble: EnsembleParams

    def model(self, name: str) -> ModelParams:
        if name not in self._models:
            raise UserError(f"params.yaml: no section train.{name}{nearest(name, list(self._models))}")
        return self._models[name]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate the whole file; `UserError` lists everything wrong with it, a line each."""
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the folder that holds it") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no sections; expected {', '.join([*SECTIONS, 'train'])}")
    problems: list[str] = []
    known = [*SECTIONS, "train"]
    problems += [f"{path}: {k} is not a section{nearest(str(k), known)}" for k in raw if k not in known]
    sections = {
        name: validate(kind, raw.get(name), lambda key, n=name: f"{path}: {n}.{key}", problems)
        for name, kind in SECTIONS.items()
    }
    models = _models(path, raw.get("train"), problems)
    matrix, split, crop = sections["matrix"], sections["split"], sections["crop"]
    if matrix:
        problems += [
            f"{path}: matrix.models names {m!r}, but there is no train.{m}{nearest(m, list(models))}"
            for m in matrix.models
            if m not in models
        ]
    if matrix and split:
        wrong = [f for f in matrix.folds if not 0 <= f < split.folds]
        if wrong:
            problems.append(
                f"{path}: matrix.folds = {matrix.folds}: {wrong} must lie in 0..{split.folds - 1}; raise split.folds or name fewer"
            )
    if crop:
        problems += [
            f"{path}: train.{name}.size = {m.size} is larger than crop.size = {crop.size}; raise crop.size to {m.size}"
            for name, m in models.items()
            if m and m.size > crop.size
        ]
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Params(sections, models)


#: What each model says itself (and "", the section as a whole); the rest it takes from train.common.
_OF_EACH_MODEL = ("task", "target", "lr", "epochs", "")


def _models(path, train: Any, problems: list[str]) -> dict[str, ModelParams]:
    if not isinstance(train, dict) or not isinstance(train.get("common"), dict):
        problems.append(f"{path}: train.common is missing; it holds what every model shares")
        return {}
    common = train["common"]
    models = {}
    for name, own in ((str(name), own) for name, own in train.items() if name != "common"):
        if not isinstance(own, dict):
            problems.append(f"{path}: train.{name} = {own!r} must be a section with at least task and target")
            continue
        merged = dict(common)
        for key, value in own.items():
            both = isinstance(value, dict) and isinstance(common.get(key), dict)
            merged[key] = {**common[key], **value} if both else value

        def where(key: str, name=name, own=own) -> str:
            of_model = holds(own, key) or key.split(".")[0] in _OF_EACH_MODEL
            return f"{path}: train.{name if of_model else 'common'}.{key}"

        models[name] = validate(ModelParams, merged, where, problems)
    return models
