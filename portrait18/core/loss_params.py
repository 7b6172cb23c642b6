"""The losses of a model, each with its own keys; they work like `portrait18.core.variants`."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from portrait18.core.validation import Float, Section, named, tagged


class _Loss(Section):
    """Base of the losses.

    Attributes:
        targets: names of the targets that it is for.
        head: name of the head that it needs, "" for any.
        whole_batch: it is a function of the whole batch, not a mean over photos.
    """

    targets: ClassVar[tuple[str, ...]] = ("classes", "heads", "bins")
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


class DLDLv2Loss(_Loss):
    """Cross-entropy of a distribution over years plus the error of the expected age."""

    targets: ClassVar[tuple[str, ...]] = ("distribution",)
    name: Literal["dldl-v2"]
    weight: Float = Field(ge=0, examples=[1.0])


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
    | DLDLv2Loss
)
LossParams = Annotated[_AnyLoss, Field(discriminator="name"), BeforeValidator(named)]


def losses_for(target: str) -> dict[str, type[_Loss]]:
    """Return the losses that go with a target, by name."""
    return {name: kind for name, kind in tagged(_AnyLoss).items() if target in kind.targets}
