"""The `features` section of params.yaml: frozen backbones and the views of photos they see."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from portrait18.core.model_params import ModelParams
from portrait18.core.validation import Float, Int, Section, unique
from portrait18.core.weight_sources import check_source, pair_sources


class View(Section):
    """A fixed change of a crop. Without keys, the crop is left as it is.

    Attributes:
        flip: mirror it, before anything else.
        scale: above 1 enlarges about the center.
        rotate: degrees counterclockwise about the center.
        x, y: shift to the right and down, as a share of the side.
        resolution: share of the pixels of each side that is kept, as in small photos.
    """

    flip: bool = False
    scale: Float = Field(1.0, ge=0.5, le=2)
    rotate: Float = Field(0.0, ge=-180, le=180)
    x: Float = Field(0.0, ge=-0.5, le=0.5)
    y: Float = Field(0.0, ge=-0.5, le=0.5)
    resolution: Float = Field(1.0, ge=0.05, le=1)

    @property
    def is_warped(self) -> bool:
        """Whether it changes more than left and right."""
        return (self.scale, self.rotate, self.x, self.y) != (1, 0, 0, 0)


class FeaturesParams(Section):
    """How the features of frozen backbones are computed.

    Attributes:
        backbones: names of the backbones.
        weights: source of their weights: one for all, or one for each, joined by `+`.
        image_size: side of their input in pixels.
        views: changes of each photo; features are computed for each of them.
        test_views: the first so many views are averaged in predictions.
        batch_size: photos per forward pass.
    """

    backbones: Annotated[list[str], AfterValidator(unique)]
    weights: str
    image_size: Int = Field(ge=32, le=1024)
    views: Annotated[list[View], Field(min_length=1)]
    test_views: Int = Field(ge=1)
    batch_size: Int = Field(ge=1)

    @model_validator(mode="after")
    def _check(self) -> "FeaturesParams":
        if self.views[0] != View():
            raise ValueError("views[0] must be {}, the photo as it is")
        if len(set(self.views)) < len(self.views):
            raise ValueError("views contains duplicates; name each once")
        if self.test_views > len(self.views):
            raise ValueError(
                f"test_views = {self.test_views} is more than the number of views"
                f" ({len(self.views)}); lower it or add views"
            )
        for name, source in self.sources().items():
            if source == "none":
                raise ValueError(
                    "weights = none: a frozen backbone never learns; use bundled, hub or"
                    " FILE.safetensors@DIGEST"
                )
            check_source(name, source, "backbones")
        return self

    def sources(self) -> dict[str, str]:
        """Return the source of the weights of each backbone.

        Raises:
            ValueError: there is neither one source for all backbones nor one for each.
        """
        return dict(pair_sources(self.backbones, self.weights)) if self.backbones else {}


def frozen_section(section: dict, features: object) -> dict:
    """Return a frozen model's section with the values that it takes from `features`.

    Args:
        section: the model's section of params.yaml, merged with train.common.
        features: the `features` section as YAML holds it.
    """
    size = features.get("image_size") if isinstance(features, dict) else None
    # `features` has the sources of the weights; `none` is valid with every backbone.
    known = {"image_size": size} if isinstance(size, int) else {}
    return {**section, **known, "weights": "none", "clahe": 0.0}


def contradictions(
    features: FeaturesParams, frozen: dict[str, ModelParams], others: Iterable[str]
) -> list[str]:
    """Return a line for each frozen model that can't be trained.

    Args:
        features: the `features` section.
        frozen: params of the models that matrix.frozen names.
        others: models that are trained end to end.
    """
    lines = [
        f"matrix.frozen names {name}, which is trained end to end too (matrix.models or"
        " pseudo_label.models); name it once"
        for name in frozen
        if name in others
    ]
    for name, model in frozen.items():
        missing = [part for part in model.backbone.split("+") if part not in features.backbones]
        if missing:
            lines.append(
                f"train.{name}.backbone = {model.backbone}: features.backbones ="
                f" {features.backbones} lacks {', '.join(missing)}; add it, or move {name} from"
                " matrix.frozen to matrix.models"
            )
        allowed = ("none",) if model.head.frozen_only else ("none", "mixup")
        if model.mix.name not in allowed:
            reason = "is fitted without batches" if len(allowed) == 1 else "sees no pixels"
            lines.append(
                f"train.{name}.mix = {model.mix.name}: a frozen model with head"
                f" {model.head.name} {reason}; use mix: {' or '.join(allowed)}"
            )
    return lines
