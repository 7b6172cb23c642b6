"""The sections of params.yaml from photos to crops: data, check, label, split and crop."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from portrait18.core.validation import Float, Int, Section


def _not_empty(value: object) -> object:
    if value == "":  # Path takes it for the current folder, dvc.yaml for that of the system, /
        raise PydanticCustomError("folder", "must be the path of a folder, such as data/demo")
    return value


Folder: TypeAlias = Annotated[Path, BeforeValidator(_not_empty)]


class DataParams(Section):
    """Where the photos are."""

    root: Folder
    extra: Folder


class CheckParams(Section):
    """How the photo folders are checked."""

    problems: Literal["stop", "skip"]
    max_pixels: Int = Field(gt=0)
    max_bad_eval: Float = Field(ge=0, le=1)


class LabelParams(Section):
    """How labels are derived from ages and corrected."""

    young_below: Int = Field(ge=1, le=120)
    old_from: Int = Field(ge=1, le=120)
    drop_ages: list[Int]
    fixes: Literal["none", "high_confidence", "all"]

    @model_validator(mode="after")
    def _check_order(self) -> "LabelParams":
        if self.young_below >= self.old_from:
            raise ValueError(
                f"young_below ({self.young_below}) must be less than old_from ({self.old_from})"
            )
        return self


class SplitParams(Section):
    """How people are assigned to folds."""

    folds: Int = Field(ge=1, le=50)
    by: Literal["person", "photo"]
    seed: Int = Field(ge=0)


def _no_longer_bool(value: object) -> object:
    if isinstance(value, bool):
        message = "is no longer a boolean; write eyes for true, none for false, or five_points"
        raise PydanticCustomError("align", message)
    return value


Align: TypeAlias = Literal["none", "eyes", "five_points"]


class CropParams(Section):
    """How faces are found and cropped."""

    method: Literal["mtcnn", "yunet", "center"]
    image_size: Int = Field(ge=32, le=1024)
    margin: Float = Field(ge=-0.5, le=4)
    align: Annotated[Align, BeforeValidator(_no_longer_bool)]
    min_face: Float = Field(gt=0, le=1)
    batch_size: Int = Field(ge=1)
    rotate: bool = False  # the crops of older models and bundles, whose description lacks it
