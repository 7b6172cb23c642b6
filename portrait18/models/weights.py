"""Read weights files, and load tensors into backbones.

Only safetensors files of users are opened, because unpickling can run code.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from portrait18.core.errors import REPAIR_HINT, UserError
from portrait18.core.files import file_digest

#: First bytes of PyTorch's zip archives of pickles, and of bare pickles.
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a .safetensors file.

    Raises:
        UserError: another suffix, no such file, a damaged file, or a pickle in disguise.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UserError(
            f"weights {str(path)!r}: only .safetensors files are read (a pickle can run code);"
            " convert it with safetensors.torch.save_file"
        )
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(
            f"weights {str(path)!r}: no such file; use bundled, hub, none"
            " or a path to a .safetensors file"
        ) from None
    except SafetensorError as error:
        _reject_pickle(path)
        raise UserError(
            f"weights {path} are damaged ({error}); download or create the file again"
        ) from None


def read_verified(path: str, digest: str) -> dict[str, torch.Tensor]:
    """Read the tensors of a file whose sha256 starts with `digest`, as params.yaml names it.

    Raises:
        UserError: as `read_tensors`, or another sha256.
    """
    tensors = read_tensors(path)
    actual = file_digest(path)
    if not actual.startswith(digest):
        raise UserError(
            f"weights {path}: the file's sha256 begins with {actual[: len(digest)]},"
            f" params.yaml says {digest}; restore that file, or write {path}@{actual[:12]}"
        )
    return tensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of a .safetensors file.

    Raises:
        UserError: a damaged file, or a pickle in disguise.
    """
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        _reject_pickle(path)
        raise UserError(f"model {path} is damaged ({error}); {REPAIR_HINT}") from None


def tensor_names(backbone: nn.Module) -> list[str]:
    """Return the names of the tensors that a weights file must have, in their order."""
    return [k for k in backbone.state_dict() if not k.endswith("num_batches_tracked")]


def load_tensors(
    backbone: nn.Module, state: dict[str, torch.Tensor], source: str, index: int = 0
) -> None:
    """Load the backbone's tensors from a state dict; see `matching_tensors`."""
    backbone.load_state_dict(matching_tensors(backbone, state, source, index), strict=False)


def matching_tensors(
    backbone: nn.Module, state: dict[str, torch.Tensor], source: str, index: int
) -> dict[str, torch.Tensor]:
    """Return the backbone's tensors from a state dict; extra tensors are ignored.

    Args:
        backbone: tells the names and shapes.
        state: of the backbone, or of a network of this project.
        source: of the weights, for messages.
        index: place of the backbone in that network.

    Raises:
        UserError: tensors are missing or have another shape.
    """
    own, names = backbone.state_dict(), tensor_names(backbone)
    # Files of this project prefix the names with the backbone's place in the network.
    state = {k.removeprefix(f"features.{index}.backbone."): v for k, v in state.items()}
    wrong = [k for k in names if k not in state or state[k].shape != own[k].shape]
    if wrong:
        raise UserError(
            f"weights {source} do not fit the backbone: {len(wrong)} of {len(names)} tensors are"
            f" missing or have another shape, first {wrong[0]}; set backbone to the one that they"
            " were trained with"
        )
    return {k: state[k] for k in names}


def _reject_pickle(path: str | Path) -> None:
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE_MAGIC):
        raise UserError(
            f"{path} contains a pickle despite its name; it was not opened, because that can run"
            " code; convert it with safetensors.torch.save_file"
        )
