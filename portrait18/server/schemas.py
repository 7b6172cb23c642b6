"""JSON of the responses, typed, so that OpenAPI describes every field."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from portrait18.dataset.classes import CLASS_NAMES, NUM_CLASSES

Probability = Annotated[float, Field(ge=0, le=1)]


class MaskProbabilities(BaseModel):
    """Probability of each mask state."""

    worn: Probability = Field(examples=[0.004])
    incorrect: Probability = Field(examples=[0.006])
    none: Probability = Field(examples=[0.99])


class GenderProbabilities(BaseModel):
    """Probability of each gender."""

    male: Probability = Field(examples=[0.97])
    female: Probability = Field(examples=[0.03])


class AgeProbabilities(BaseModel):
    """Probability of each age group."""

    young: Probability = Field(examples=[0.12])
    middle: Probability = Field(examples=[0.85])
    old: Probability = Field(examples=[0.03])


class Mask(BaseModel):
    """Predicted mask state, which is not always the most probable one."""

    label: Literal["worn", "incorrect", "none"] = Field(examples=["none"])
    probabilities: MaskProbabilities


class Gender(BaseModel):
    """Predicted gender, which is not always the more probable one."""

    label: Literal["male", "female"] = Field(examples=["male"])
    probabilities: GenderProbabilities


class Age(BaseModel):
    """Predicted age group, which is not always the most probable one."""

    label: Literal["young", "middle", "old"] = Field(examples=["middle"])
    probabilities: AgeProbabilities


class FaceResult(BaseModel):
    """One face."""

    box: tuple[float, float, float, float] = Field(
        description="x0, y0, x1, y1 in pixels of the upright photo",
        examples=[[61.0, 74.5, 143.2, 180.9]],
    )
    score: float = Field(
        description="confidence of the face detector", ge=0, le=1, examples=[0.999]
    )
    found: Literal["mtcnn", "retry", "yunet", "rotated", "median", "center"] = Field(
        description="mtcnn: at the default thresholds; retry: at lower thresholds, as masks often"
        " need; yunet: by YuNet; rotated: after the photo was turned upright; center: the bundle"
        " uses the middle square of every photo; median: no face found, the median box of the"
        " training photos"
    )
    class_id: int = Field(
        alias="class",
        ge=0,
        lt=NUM_CLASSES,
        description="6 x mask + 3 x gender + age",
        examples=[13],
    )
    name: str = Field(description="name of the class", examples=[CLASS_NAMES[13]])
    mask: Mask
    gender: Gender
    age: Age = Field(description="young: under 30, middle: 30 to 59, old: 60 and over")
    years: float | None = Field(
        description="expected age, or null if no model of the bundle predicts it", examples=[41.2]
    )


class PhotoResult(BaseModel):
    """One photo."""

    width: int = Field(
        description="pixels of the upright photo (EXIF orientation applied)", ge=1, examples=[384]
    )
    height: int = Field(ge=1, examples=[512])
    faces: list[FaceResult] = Field(description="largest first; empty if no face was found")
    warning: str = Field(
        description="what is damaged in the file although its pixels are intact; empty if nothing",
        examples=[""],
    )


class PredictResponse(BaseModel):
    """Predictions for each photo, in the order sent."""

    photos: list[PhotoResult]


class Limits(BaseModel):
    """What a request may hold."""

    bytes: int = Field(examples=[33554432])
    pixels: int = Field(description="per photo", examples=[64000000])
    photos: int = Field(examples=[16])
    upload_seconds: float = Field(description="for the upload", examples=[120])
    seconds: float = Field(description="for the prediction", examples=[30])


class Model(BaseModel):
    """The loaded networks."""

    description: str = Field(
        description="what they were trained on, and their scores on validation people",
        examples=[
            "Trained on 252 photos of 36 people: Rendered people, who do not exist. Macro-F1 of the"
            " 18 classes on 7 validation people: 0.44 (mask 0.94, gender 0.64, age 0.64)."
        ],
    )
    networks: int = Field(description="networks in the bundle", examples=[4])
    training_people: int = Field(examples=[36])
    training_photos: int = Field(examples=[252])
    validation: dict[str, float] = Field(
        description="macro-F1 on validation people: all (18 classes), mask, gender, age",
        examples=[{"all": 0.44, "mask": 0.94, "gender": 0.64, "age": 0.64}],
    )


class Health(BaseModel):
    """State of the server and its limits."""

    status: Literal["ok", "broken"]
    device: str = Field(examples=["cpu"])
    model: Model
    waiting: int = Field(description="photos in progress", examples=[0])
    limits: Limits
    needs_key: bool
