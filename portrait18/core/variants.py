"""The variants of a model's schedule, head, target and mix, each with its own keys.

Those of the loss are in `portrait18.core.loss_params`.

In params.yaml `name` selects one; a bare string is short for `{name: ...}`. All keys of the
selected one are required. To add a variant: write its class here, list it in the union below it,
and register its implementation under the same name (see `portrait18.models.registry`).
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from portrait18.core.validation import Float, Int, Section, named, tagged

#: First years of the age groups middle and old. Repeated here because core imports nothing from the
#: rest of the library.
GROUP_EDGES = (30, 60)


class CosineSchedule(Section):
    """Cosine decay to zero."""

    name: Literal["cosine"]


class ConstantSchedule(Section):
    """Constant learning rate."""

    name: Literal["constant"]


class StepSchedule(Section):
    """Multiply the learning rate by `factor` every `epochs` epochs."""

    name: Literal["step"]
    epochs: Float = Field(gt=0, examples=[5])
    factor: Float = Field(gt=0, le=1, examples=[0.5])


ScheduleParams = Annotated[
    CosineSchedule | ConstantSchedule | StepSchedule,
    Field(discriminator="name"),
    BeforeValidator(named),
]


class _Head(Section):
    """Base of the heads.

    Attributes:
        classes_only: it suits only targets with class labels.
        frozen_only: it is fitted on features, not by gradients of batches.
        fit_method: how it is fitted at once, "" for heads that are trained in epochs.
    """

    classes_only: ClassVar[bool] = False
    frozen_only: ClassVar[bool] = False
    fit_method: ClassVar[str] = ""


class LinearHead(_Head):
    """Plain logits."""

    name: Literal["linear"]


class CosineHead(_Head):
    """Scaled cosines between features and class weights."""

    classes_only: ClassVar[bool] = True

    name: Literal["cosine"]
    scale: Float = Field(gt=0, examples=[16.0])


class UnitHead(_Head):
    """Logits normalized to a length."""

    classes_only: ClassVar[bool] = True

    name: Literal["unit"]
    scale: Float = Field(gt=0, examples=[16.0])


class MLPHead(_Head):
    """Hidden layers before the logits."""

    name: Literal["mlp"]
    width: Int = Field(ge=1, le=65536, examples=[256])
    depth: Int = Field(ge=1, le=16, examples=[1])


class KernelHead(_Head):
    """Kernel logistic regression, and its like for other losses."""

    frozen_only: ClassVar[bool] = True
    fit_method: ClassVar[str] = "by L-BFGS"
    name: Literal["kernel"]
    gamma: Float = Field(gt=0, examples=[1.0])
    C: Float = Field(gt=0, examples=[1.0])
    landmarks: Int = Field(ge=1, examples=[2000])


class RidgeHead(_Head):
    """Kernel ridge regression with calibrated probabilities."""

    classes_only: ClassVar[bool] = True
    frozen_only: ClassVar[bool] = True
    fit_method: ClassVar[str] = "in closed form"
    name: Literal["ridge"]
    gamma: Float = Field(gt=0, examples=[0.4])
    penalty: Float = Field(gt=0, examples=[0.5])


class LinearRidgeHead(_Head):
    """Ridge regression with calibrated probabilities."""

    classes_only: ClassVar[bool] = True
    frozen_only: ClassVar[bool] = True
    fit_method: ClassVar[str] = "in closed form"
    name: Literal["linear-ridge"]
    penalty: Float = Field(gt=0, examples=[1.0])


HeadParams = Annotated[
    LinearHead | CosineHead | UnitHead | MLPHead | KernelHead | RidgeHead | LinearRidgeHead,
    Field(discriminator="name"),
    BeforeValidator(named),
]


class _Target(Section):
    """Base of the targets.

    Attributes:
        task: the only task that it is for, "" for any.
        classes: it has class labels, for the losses and heads of classes.
        needs_years: models with it learn from an age in years.
        predicts_years: models with it predict an age in years.
    """

    task: ClassVar[str] = "age"
    classes: ClassVar[bool] = False
    needs_years: ClassVar[bool] = True
    predicts_years: ClassVar[bool] = True


class ClassesTarget(_Target):
    """One-hot classes of the task."""

    task: ClassVar[str] = ""
    classes: ClassVar[bool] = True
    needs_years: ClassVar[bool] = False
    predicts_years: ClassVar[bool] = False
    name: Literal["classes"]


class HeadsTarget(_Target):
    """One-hot classes of each task, a head for each."""

    task: ClassVar[str] = "all"
    classes: ClassVar[bool] = True
    needs_years: ClassVar[bool] = False
    predicts_years: ClassVar[bool] = False
    name: Literal["heads"]


class BinsTarget(_Target):
    """One-hot bins of years; their probabilities are summed to those of the age groups."""

    classes: ClassVar[bool] = True
    predicts_years: ClassVar[bool] = False
    name: Literal["bins"]
    edges: list[Int] = Field(examples=[[20, 30, 45, 60]])

    @field_validator("edges")
    @classmethod
    def _check_edges(cls, edges: list[int]) -> list[int]:
        if edges != sorted(set(edges)) or not set(GROUP_EDGES) <= set(edges) or edges[0] < 1:
            raise ValueError(
                f"{edges} must be the first years of the second and later bins: ascending, above 0,"
                " and with the boundaries of the age groups, 30 and 60; use [20, 30, 45, 60]"
            )
        return edges


class ValueTarget(_Target):
    """Age as a normal distribution."""

    name: Literal["value"]


class RankTarget(_Target):
    """Age as "at least k years" for each k."""

    name: Literal["rank"]


class DistributionTarget(_Target):
    """Age as a probability for each year."""

    name: Literal["distribution"]
    sigma: Float = Field(gt=0, examples=[4.0])


_AnyTarget = (
    ClassesTarget | HeadsTarget | BinsTarget | ValueTarget | RankTarget | DistributionTarget
)
TargetParams = Annotated[_AnyTarget, Field(discriminator="name"), BeforeValidator(named)]

#: Names of the targets with class labels, and of those that predict an age in years.
CLASS_TARGETS = [name for name, kind in tagged(_AnyTarget).items() if kind.classes]
YEAR_TARGETS = [name for name, kind in tagged(_AnyTarget).items() if kind.predicts_years]


class NoMix(Section):
    """Photos as they are."""

    name: Literal["none"]


class _Mix(Section):
    partner: Literal["any", "class"] = Field(examples=["any"])
    probability: Float = Field(ge=0, le=1, examples=[1.0])


class MixUp(_Mix):
    """Weighted sum of two photos."""

    name: Literal["mixup"]
    alpha: Float = Field(gt=0, examples=[0.4])


class CutMix(_Mix):
    """A rectangle of another photo pasted in."""

    name: Literal["cutmix"]
    alpha: Float = Field(gt=0, examples=[0.4])


class HalvesMix(_Mix):
    """Left half of one photo, right half of another."""

    name: Literal["halves"]


MixParams = Annotated[
    NoMix | MixUp | CutMix | HalvesMix, Field(discriminator="name"), BeforeValidator(named)
]
