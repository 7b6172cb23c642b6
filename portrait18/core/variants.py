"""The variants of a model's schedule, loss, head, target and mix, each with its own keys.

In params.yaml `name` selects one; a bare string is short for `{name: ...}`. All keys of the
selected one are required. To add a variant: write its class here, list it in the union below it,
and register its implementation under the same name (see `portrait18.models.registry`).
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from portrait18.core.validation import Float, Section, named, tagged


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


class _Loss(Section):
    """Base of the losses.

    Attributes:
        targets: names of the targets that it is for.
        head: name of the head that it needs, "" for any.
        whole_batch: it is a function of the whole batch, not a mean over photos.
    """

    targets: ClassVar[tuple[str, ...]] = ("classes", "heads")
    head: ClassVar[str] = ""
    whole_batch: ClassVar[bool] = False


class ClassLoss(_Loss):
    """A loss of class labels, which are smoothed and weighted."""

    label_smoothing: Float = Field(ge=0, lt=1, examples=[0.05])
    class_weight: Float = Field(ge=0, le=1, examples=[0.0])
    class_weight_from: Float = Field(ge=0, le=1, examples=[0.0])


class CrossEntropyLoss(ClassLoss):
    """Cross-entropy of class labels."""

    name: Literal["cross-entropy"]


class FocalLoss(ClassLoss):
    """Focal loss."""

    name: Literal["focal"]
    gamma: Float = Field(ge=0, examples=[2.0])


class SoftF1Loss(_Loss):
    """One minus the macro-F1 of the batch, with probabilities as counts."""

    whole_batch: ClassVar[bool] = True
    name: Literal["soft-f1"]


class CosineLoss(ClassLoss):
    """Cosine distance plus cross-entropy."""

    head: ClassVar[str] = "unit"
    name: Literal["cosine"]
    weight: Float = Field(ge=0, examples=[1.0])


class LDAMLoss(ClassLoss):
    """Cross-entropy with a larger margin for rarer classes."""

    head: ClassVar[str] = "cosine"
    name: Literal["ldam"]
    margin: Float = Field(ge=0, lt=1.5, examples=[0.3])


class ArcFaceLoss(ClassLoss):
    """Cross-entropy with an angular margin."""

    head: ClassVar[str] = "cosine"
    name: Literal["arcface"]
    margin: Float = Field(ge=0, lt=1.5, examples=[0.3])


class GaussianLoss(_Loss):
    """Negative log-likelihood of a normal distribution."""

    targets: ClassVar[tuple[str, ...]] = ("value",)
    name: Literal["gaussian"]


class CumulativeLoss(_Loss):
    """Binary cross-entropy for each year."""

    targets: ClassVar[tuple[str, ...]] = ("rank",)
    name: Literal["cumulative"]


class SoftCrossEntropyLoss(_Loss):
    """Cross-entropy of a distribution over years."""

    targets: ClassVar[tuple[str, ...]] = ("distribution",)
    name: Literal["soft-cross-entropy"]


_AnyLoss = (
    CrossEntropyLoss
    | FocalLoss
    | SoftF1Loss
    | CosineLoss
    | LDAMLoss
    | ArcFaceLoss
    | GaussianLoss
    | CumulativeLoss
    | SoftCrossEntropyLoss
)
LossParams = Annotated[_AnyLoss, Field(discriminator="name"), BeforeValidator(named)]


def losses_for(target: str) -> dict[str, type[_Loss]]:
    """Return the losses that go with a target, by name."""
    return {name: kind for name, kind in tagged(_AnyLoss).items() if target in kind.targets}


class LinearHead(Section):
    """Plain logits."""

    name: Literal["linear"]


class CosineHead(Section):
    """Scaled cosines between features and class weights."""

    name: Literal["cosine"]
    scale: Float = Field(gt=0, examples=[16.0])


class UnitHead(Section):
    """Logits normalized to a length."""

    name: Literal["unit"]
    scale: Float = Field(gt=0, examples=[16.0])


HeadParams = Annotated[
    LinearHead | CosineHead | UnitHead, Field(discriminator="name"), BeforeValidator(named)
]


class _Target(Section):
    """Base of the targets.

    Attributes:
        task: the only task that it is for, "" for any.
        predicts_years: models with it predict an age in years and learn from one.
    """

    task: ClassVar[str] = "age"
    predicts_years: ClassVar[bool] = True


class ClassesTarget(_Target):
    """One-hot classes of the task."""

    task: ClassVar[str] = ""
    predicts_years: ClassVar[bool] = False
    name: Literal["classes"]


class HeadsTarget(_Target):
    """One-hot classes of each task, a head for each."""

    task: ClassVar[str] = "all"
    predicts_years: ClassVar[bool] = False
    name: Literal["heads"]


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


_AnyTarget = ClassesTarget | HeadsTarget | ValueTarget | RankTarget | DistributionTarget
TargetParams = Annotated[_AnyTarget, Field(discriminator="name"), BeforeValidator(named)]

#: Names of the targets that predict an age in years.
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
