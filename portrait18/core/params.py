"""params.yaml, typed and validated: unknown names get a suggestion, numbers written as text are cast."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, model_validator

from portrait18.core.errors import UserError
from portrait18.core.model_params import YEAR_TARGETS, ModelParams, parse_models
from portrait18.core.validation import Section, nearest, validate


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
    fixes: Literal["none", "high_confidence", "all"]

    @model_validator(mode="after")
    def _ordered(self):
        if self.young_below >= self.old_from:
            raise ValueError(
                f"young_below ({self.young_below}) must be less than old_from ({self.old_from})"
            )
        return self


class SplitParams(Section):
    folds: int = Field(ge=1, le=50)
    by: Literal["person", "photo"]
    seed: int = Field(ge=0)


class CropParams(Section):
    method: Literal["mtcnn", "center"]
    image_size: int = Field(ge=32, le=1024)
    margin: float = Field(ge=-0.5, le=4)
    align: bool
    min_face: float = Field(gt=0, le=1)
    batch_size: int = Field(ge=1)


def _each_once(values: list) -> list:
    if len(set(values)) < len(values):
        raise ValueError(f"{values} names something twice; name each once")
    return values


Some = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_each_once)]


class MatrixParams(Section):
    models: Annotated[list[str], Field(min_length=1), AfterValidator(_each_once)]
    folds: Some
    seeds: Some


class GroupParams(Section):
    by: Literal["none", "column", "near_duplicate"]
    column: str
    threshold: float = Field(gt=0)
    max_size: int = Field(ge=2)


class PseudoLabelParams(Section):
    models: Annotated[list[str], AfterValidator(_each_once)]
    confidence: float = Field(gt=0, lt=1)


class PredictParams(Section):
    batch_size: int = Field(ge=1)
    flip: bool
    tta_scales: list[Annotated[float, Field(ge=0.5, le=1)]] = Field(min_length=1)


class EnsembleParams(Section):
    vote: Literal["soft", "hard", "stacking"]
    weights: Literal["equal", "log-loss", "macro-f1"]
    decision: Literal["argmax", "offsets", "joint", "thresholds"]


class ExportParams(Section):
    onnx: bool


class ExplainParams(Section):
    photos: int = Field(ge=0, le=16)


SECTIONS: dict[str, type[Section]] = {
    "data": DataParams,
    "check": CheckParams,
    "label": LabelParams,
    "split": SplitParams,
    "crop": CropParams,
    "group": GroupParams,
    "matrix": MatrixParams,
    "pseudo_label": PseudoLabelParams,
    "predict": PredictParams,
    "ensemble": EnsembleParams,
    "export": ExportParams,
    "explain": ExplainParams,
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
    pseudo_label: PseudoLabelParams
    predict: PredictParams
    ensemble: EnsembleParams
    export: ExportParams
    explain: ExplainParams

    @property
    def models(self) -> dict[str, ModelParams]:
        """Those that `matrix` or `second` names; other entries of `train` may hold what doesn't go together."""
        return self._models

    def model(self, name: str) -> ModelParams:
        if name not in self._models:
            raise UserError(
                f"params.yaml: neither matrix.models nor pseudo_label.models names {name}{nearest(name, list(self._models))}"
            )
        return self._models[name]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate the whole file; `UserError` lists everything wrong with it, a line each."""
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the folder that holds it") from None
    except IsADirectoryError:
        raise UserError(
            f"{path} is a folder; put the file of the repository in its place"
        ) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML lets through what its constructors raise, e.g. for the date 2020-13-45 or a tag such as !!bool x.
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no sections; expected {', '.join([*SECTIONS, 'train'])}")
    problems: list[str] = []
    known = [*SECTIONS, "train", "launch"]
    launch = raw.get("launch")
    if not isinstance(launch, str) or not launch.strip():
        problems.append(
            f"{path}: launch = {launch!r} must be a command that starts Python modules; use python"
        )
    problems += [
        f"{path}: {k} is not a section{nearest(str(k), known)}" for k in raw if k not in known
    ]
    sections = {
        name: validate(kind, raw.get(name), lambda key, n=name: f"{path}: {n}.{key}", problems)
        for name, kind in SECTIONS.items()
    }
    used = {
        name: sections[name].models if sections[name] else [] for name in ("matrix", "pseudo_label")
    }
    models = parse_models(
        path, raw.get("train"), {m for names in used.values() for m in names}, problems
    )
    problems += [
        f"{path}: {name}.models names {m!r}, but there is no train.{m}{nearest(m, list(models))}"
        for name, names in used.items()
        for m in names
        if m not in models
    ]
    models = {name: models[name] for names in used.values() for name in names if name in models}
    if not problems:
        problems += [f"{path}: {line}" for line in _contradictions(sections, models)]
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Params(sections, models)


def _contradictions(sections: dict[str, Any], models: dict[str, ModelParams]) -> list[str]:
    """What is wrong between sections that are sound by themselves, a line each."""
    matrix, pseudo_label, folds, size = (
        sections["matrix"],
        sections["pseudo_label"],
        sections["split"].folds,
        sections["crop"].image_size,
    )
    lines = []
    if wrong := [f for f in matrix.folds if f >= folds]:
        lines.append(
            f"matrix.folds = {matrix.folds}: {wrong} must lie in 0..{folds - 1}; raise split.folds or name fewer"
        )
    lines += [
        f"train.{name}.image_size = {m.image_size} is larger than crop.image_size = {size}; raise that to {m.image_size}"
        for name, m in models.items()
        if m.image_size > size
    ]
    first = [models[m] for m in matrix.models]
    lines += [
        f"matrix.models = {matrix.models}: no model answers {task}; add one whose task is {task} or all"
        for task in ("mask", "gender", "age")
        if not any(m.task in (task, "all") for m in first)
    ]
    years = any(m.target in YEAR_TARGETS for m in first)
    if sections["ensemble"].decision == "thresholds" and not years:
        lines.append(
            f"ensemble.decision = thresholds: no model of matrix.models tells years; add one whose target is {' or '.join(YEAR_TARGETS)}"
        )
    lines += [
        f"pseudo_label.models names {m}, whose target {models[m].target} needs years, and no model of matrix.models tells any; add one, e.g. age-value"
        for m in pseudo_label.models
        if models[m].target in YEAR_TARGETS and not years
    ]
    return lines
