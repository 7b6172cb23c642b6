"""Networks: one or more backbones, of timm or for faces, with a shared head; initial weights."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from portrait18.core.errors import UserError
from portrait18.core.model_params import ModelParams
from portrait18.core.weight_sources import WEIGHTS_FILE
from portrait18.models.backbone_names import validate_hub, validate_name
from portrait18.models.bundled import BUNDLED
from portrait18.models.faces import FACE_BACKBONES
from portrait18.models.heads import make_head
from portrait18.models.input_size import validate_input_size
from portrait18.models.resample import Resample
from portrait18.models.weights import load_tensors, matching_tensors, read_verified


class Features(nn.Module):
    """A backbone without its classifier that normalizes its input itself.

    Input: uint8 or float (N, 3, S, S), RGB, 0 to 255. Output: float (N, `width`), pooled.

    Args:
        backbone: of timm, or with the same interface.
        resample: cuts out what the backbone sees of a crop; None: it sees the whole crop.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: nn.Module, resample: Resample | None = None):
        super().__init__()
        self.backbone = backbone
        self.resample = resample
        self.width = cast(int, backbone.head_hidden_size)
        #: Number of features from each layer of the backbone.
        self.blocks = list(getattr(backbone, "feature_blocks", (self.width,)))
        config = cast(dict, backbone.pretrained_cfg)
        self.register_buffer(
            "mean", torch.tensor(config["mean"]).float().view(1, 3, 1, 1) * 255, persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(config["std"]).float().view(1, 3, 1, 1) * 255, persistent=False
        )

    def prepare(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the backbone's input for a batch: its region, normalized."""
        photos = photos.to(self.mean.dtype)
        if self.resample is not None:
            photos = self.resample(photos)
        return (photos - self.mean) / self.std

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the pooled features of a batch."""
        return self.backbone(self.prepare(photos))


class Network(nn.Module):
    """One head on the concatenated features of one or more backbones.

    Input: uint8 or float (N, 3, S, S), RGB, 0 to 255. Output: see `portrait18.models.heads.Head`.
    """

    def __init__(self, features: list[Features], head: nn.Module):
        super().__init__()
        self.features = nn.ModuleList(features)
        self.head = head

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the head's outputs for a batch, float32."""
        return self.head(torch.cat([part(photos) for part in self.features], 1)).float()


def create(
    params: ModelParams,
    widths: tuple[int, ...],
    margin: float | None = None,
    weights: str | None = None,
) -> Network:
    """Create a model's network, initialized as its params say.

    Args:
        params: `backbone` and `weights` may name several, joined by `+`.
        widths: number of outputs of each head. Heads are always initialized randomly.
        margin: `crop.margin` of the crops that the network gets. Backbones for faces need it to
            find their region; those of timm see the whole crop.
        weights: overrides `params.weights` for all backbones, e.g. "none" before a state dict is
            loaded.

    Raises:
        UserError: unknown backbone, or weights that do not fit or cannot be read safely.
    """
    features = [
        _create_features(name, weights or source, index, params, margin)
        for index, (name, source) in enumerate(params.sources())
    ]
    return Network(features, make_head(sum(f.width for f in features), widths, params))


@dataclass(frozen=True)
class _BackboneParams:
    """The params that `create` needs for a backbone alone."""

    image_size: int
    drop_path: float = 0.0


def create_features(name: str, weights: str, image_size: int, margin: float) -> Features:
    """Create one backbone without a head.

    Args:
        name: name of the backbone.
        weights: source of its weights, as in params.yaml.
        image_size: side of its input in pixels.
        margin: `crop.margin` of the crops that it gets.

    Raises:
        UserError: as `create`.
    """
    validate_name(name)
    _validate_size(name, image_size)
    return _create_features(name, weights, 0, _BackboneParams(image_size), margin)


def _validate_size(name: str, image_size: int, drop_path: float = 0.0) -> None:
    if name not in FACE_BACKBONES:  # these enlarge their region to their own size
        validate_input_size(
            name, image_size, lambda size: _build(name, _BackboneParams(size, drop_path))
        )


def validate(params: ModelParams) -> None:
    """Check everything that would make `create` fail, without creating or downloading weights.

    Raises:
        UserError: lists the problems of all backbones.
    """
    problems = []
    for index, (name, source) in enumerate(params.sources()):
        try:
            validate_name(name)
            if source == "hub":
                validate_hub(name)
            elif source == "bundled":
                BUNDLED[name].locate()
            _validate_size(name, params.image_size, params.drop_path)
            with torch.device("meta"):  # shapes only
                backbone = _build(name, params)
            if match := WEIGHTS_FILE.fullmatch(source):
                matching_tensors(backbone, read_verified(**match.groupdict()), source, index)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)


def _create_features(
    name: str,
    weights: str,
    index: int,
    params: ModelParams | _BackboneParams,
    margin: float | None,
) -> Features:
    backbone = _create_backbone(name, weights, index, params)
    if name not in FACE_BACKBONES:
        return Features(backbone)
    if margin is None:
        raise ValueError(f"backbone {name} needs the margin of the crops")
    return Features(backbone, FACE_BACKBONES[name].resample(margin, params.image_size))


def _create_backbone(
    name: str, weights: str, index: int, params: ModelParams | _BackboneParams
) -> nn.Module:
    validate_name(name)
    if weights == "hub":
        validate_hub(name)
    backbone = _build(name, params, pretrained=weights == "hub")
    if weights == "bundled":
        load_tensors(backbone, BUNDLED[name].state(backbone), weights)
    elif match := WEIGHTS_FILE.fullmatch(weights):
        load_tensors(backbone, read_verified(**match.groupdict()), weights, index)
    return backbone


def _build(name: str, params: ModelParams | _BackboneParams, pretrained: bool = False) -> nn.Module:
    if name in FACE_BACKBONES:
        return _build_face(name, params, pretrained)
    import timm  # takes seconds, and backbones for faces do without it

    kwargs: dict = {"num_classes": 0}
    if params.drop_path:
        kwargs["drop_path_rate"] = params.drop_path
    config = timm.models.get_pretrained_cfg(name)
    if config and config.fixed_input_size:
        # Transformers are built for one input size, other networks accept any.
        kwargs["img_size"] = params.image_size
    try:
        return timm.create_model(name, pretrained=pretrained, **kwargs)
    except TypeError as error:
        if not params.drop_path:
            raise
        raise UserError(
            f"params.yaml: backbone {name} does not support drop_path ({error}); set drop_path: 0"
        ) from None
    except Exception as error:
        if not pretrained:
            raise
        raise UserError(
            f"params.yaml: weights = hub: the download of {name} failed ({error});"
            " check the network connection, or use weights: bundled"
        ) from None


def _build_face(name: str, params: ModelParams | _BackboneParams, pretrained: bool) -> nn.Module:
    if params.drop_path:
        raise UserError(
            f"params.yaml: backbone {name} does not support drop_path; set drop_path: 0"
        )
    face = FACE_BACKBONES[name]
    backbone = face.create()
    if pretrained and face.hub:
        load_tensors(backbone, face.hub(), "hub")
    return backbone
