"""Load params.yaml into typed, validated sections."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from portrait18.core import consistency, feature_params
from portrait18.core.data_params import (
    CheckParams,
    CropParams,
    DataParams,
    LabelParams,
    SplitParams,
)
from portrait18.core.errors import UserError
from portrait18.core.feature_params import FeaturesParams
from portrait18.core.model_params import ModelParams, merge_models
from portrait18.core.validation import Float, Int, Section, nearest, unique, validate


def _command(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        message = "must be a command that starts Python modules; use python"
        raise PydanticCustomError("command", message)
    return value


Numbers = Annotated[list[Annotated[Int, Field(ge=0)]], Field(min_length=1), AfterValidator(unique)]


class ComputeParams(Section):
    """How floating-point numbers are computed."""

    arithmetic: Literal["portable", "native"]
    threads: Int = Field(ge=1, le=1024)


class MatrixParams(Section):
    """Which trainings run: model x fold x seed. Of `frozen` models only the heads are trained."""

    models: Annotated[list[str], AfterValidator(unique)]
    frozen: Annotated[list[str], AfterValidator(unique)]
    folds: Numbers
    seeds: Numbers

    @property
    def all_models(self) -> list[str]:
        """Names of all models of the first round."""
        return [*self.models, *self.frozen]


class GroupParams(Section):
    """Which evaluation photos show the same person."""

    renamed: ClassVar[dict[str, str]] = {"largest": "max_size"}
    by: Literal["none", "column", "near_duplicate"]
    column: str
    threshold: Float = Field(gt=0)
    max_size: Int = Field(ge=2)
    weights: Literal["by_mask", "equal"]


class PseudoLabelParams(Section):
    """The pseudo-label round."""

    models: Annotated[list[str], AfterValidator(unique)]
    confidence: Float = Field(gt=0, lt=1)


class PredictParams(Section):
    """How trained networks predict."""

    renamed: ClassVar[dict[str, str]] = {"zooms": "tta_scales"}
    batch_size: Int = Field(ge=1)
    flip: bool
    tta_scales: list[Annotated[Float, Field(ge=0.5, le=1)]] = Field(min_length=1)


class EnsembleParams(Section):
    """How predictions are combined."""

    renamed: ClassVar[dict[str, str]] = {"decide": "decision"}
    calibration: Literal["temperature", "none"]
    vote: Literal["soft", "hard", "stacking"]
    weights: Literal["equal", "log-loss", "macro-f1"]
    decision: Literal["argmax", "offsets", "joint", "thresholds"]


class ExportParams(Section):
    """What is exported."""

    onnx: bool


class ExplainParams(Section):
    """The heat maps."""

    photos: Int = Field(ge=0, le=16)


#: Keys whose values name the models that are used.
NAMING = ("matrix.models", "matrix.frozen", "pseudo_label.models")


class Params(Section):
    """All of params.yaml.

    `train` holds the models that `matrix` or `pseudo_label` names, in that order, each merged with
    train.common. Frozen models take image_size from `features`. Other models of the file may be
    inconsistent: train.common need not suit them.
    """

    renamed: ClassVar[dict[str, str]] = {"second": "pseudo_label"}
    data: DataParams
    check: CheckParams
    label: LabelParams
    split: SplitParams
    crop: CropParams
    group: GroupParams
    launch: Annotated[str, BeforeValidator(_command)]
    compute: ComputeParams
    features: FeaturesParams
    matrix: MatrixParams
    pseudo_label: PseudoLabelParams
    train: dict[str, ModelParams]
    predict: PredictParams
    ensemble: EnsembleParams
    export: ExportParams
    explain: ExplainParams

    def model(self, name: str) -> ModelParams:
        """Return the params of a model that `matrix` or `pseudo_label` names."""
        if name not in self.train:
            raise UserError(
                f"params.yaml: none of {', '.join(NAMING)} names"
                f" {name}{nearest(name, list(self.train))}"
            )
        return self.train[name]


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: a line for each problem of the file.
    """
    return parse(_read(path), path)


def _read(path: str | Path) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run from the folder that holds it") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; restore the file from the repository") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML does not wrap errors of its constructors, e.g. of the date 2020-13-45 or !!bool x.
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def parse(raw: Any, path: str | Path = "params.yaml") -> Params:
    """Validate the content of params.yaml.

    Args:
        raw: what YAML holds.
        path: name of the file in messages.

    Raises:
        UserError: a line for each problem.
    """
    if not isinstance(raw, dict):
        raise UserError(f"{path} has no sections; expected {', '.join(Params.model_fields)}")
    problems: list[str] = []
    used = {key: _named_models(raw, key) for key in NAMING}
    every = [name for names in used.values() for name in names]
    merged = merge_models(path, raw.get("train"), problems)
    models: dict[str, ModelParams | None] = {}
    for name, (section, where) in merged.items():
        faults: list[str] = []
        if name in used["matrix.frozen"]:
            section = feature_params.frozen_section(section, raw.get("features"))
        models[name] = validate(ModelParams, section, where, faults)
        # Keys that contradict each other matter only in the models that are used.
        whole = f"{where('')}: "
        problems += [line for line in faults if name in every or not line.startswith(whole)]
    train = raw.get("train")
    known = [str(name) for name in train if name != "common"] if isinstance(train, dict) else []
    problems += [
        f"{path}: {key} names {name!r}, but there is no train.{name}{nearest(name, known)}"
        for key, names in used.items()
        for name in names
        if name not in known
    ]
    whole_file = {**raw, "train": {name: models[name] for name in every if models.get(name)}}
    params = validate(Params, whole_file, lambda key: f"{path}: {key}", problems)
    if params and not problems:
        problems += [f"{path}: {line}" for line in consistency.contradictions(params)]
    if problems or not params:
        raise UserError(dict.fromkeys(problems))
    return params


def _named_models(raw: dict, key: str) -> list[str]:
    section, _, name = key.partition(".")
    models = raw[section].get(name) if isinstance(raw.get(section), dict) else None
    return [name for name in models if isinstance(name, str)] if isinstance(models, list) else []
