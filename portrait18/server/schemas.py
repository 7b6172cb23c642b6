"""What an answer looks like: `FacePrediction.to_dict`, typed, so that the interface's description tells it."""

from typing import Literal

from pydantic import BaseModel, Field, create_model

from portrait18.dataset.classes import AGE, CLASS_NAMES, GENDER, MASK, NUM_CLASSES, Task


def _question(task: Task, *example: float) -> type[BaseModel]:
    def share(value: float):
        return float, Field(ge=0, le=1, examples=[value])

    title = task.name.capitalize()
    shares = {name: share(value) for name, value in zip(task.classes, example, strict=True)}
    likeliest = task.classes[example.index(max(example))]
    return create_model(
        title,
        __doc__=f"The answer, which need not be the likeliest class, and the probabilities of {task.name}.",
        label=(Literal[task.classes], Field(examples=[likeliest])),
        probabilities=(create_model(f"{title}Probabilities", **shares), ...),
    )


Mask = _question(MASK, 0.004, 0.006, 0.99)
Gender = _question(GENDER, 0.97, 0.03)
Age = _question(AGE, 0.12, 0.85, 0.03)


class FaceReply(BaseModel):
    """One face."""

    box: tuple[float, float, float, float] = Field(
        description="x0, y0, x1, y1: pixels of the upright photo",
        examples=[[61.0, 74.5, 143.2, 180.9]],
    )
    score: float = Field(
        description="how sure the detector is, 0 to 1", ge=0, le=1, examples=[0.9991]
    )
    found: Literal["mtcnn", "retry", "median", "center"] = Field(
        description="mtcnn: at the usual thresholds; retry: at lower ones, as masks often need; center: the bundle"
        " takes the middle square of every photo; median: where faces lie in the photos trained on"
    )
    number: int = Field(
        alias="class",
        ge=0,
        lt=NUM_CLASSES,
        description="6 x mask + 3 x gender + age",
        examples=[13],
    )
    name: str = Field(description="the class in words", examples=[CLASS_NAMES[13]])
    mask: Mask
    gender: Gender
    age: Age = Field(description="young: under 30, middle: 30 to 59, old: 60 and over")
    years: float | None = Field(
        description="expected age, where the bundle has a model that tells one", examples=[41.2]
    )


class PhotoReply(BaseModel):
    """One photo."""

    width: int = Field(
        description="pixels of the upright photo (EXIF orientation applied)", ge=1, examples=[384]
    )
    height: int = Field(ge=1, examples=[512])
    faces: list[FaceReply] = Field(description="the largest first; empty where there is none")


class Reply(BaseModel):
    """The answers, a photo each, in the order they were sent."""

    photos: list[PhotoReply]


class Limits(BaseModel):
    """What a request may hold."""

    bytes: int = Field(examples=[33554432])
    pixels: int = Field(description="of one photo", examples=[25000000])
    photos: int = Field(examples=[16])
    seconds: float = Field(description="to upload, and to answer", examples=[30])


class Health(BaseModel):
    """Whether the server can answer, and what it lets in."""

    status: Literal["ok", "broken"]
    device: str = Field(examples=["cpu"])
    networks: int = Field(description="trained networks of the bundle", examples=[4])
    waiting: int = Field(description="photos taken in and not yet answered", examples=[0])
    limits: Limits
    needs_key: bool
