"""Read weights files. Only safetensors files are opened, because unpickling can run code."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

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


def _reject_pickle(path: str | Path) -> None:
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE_MAGIC):
        raise UserError(
            f"{path} contains a pickle despite its name; it was not opened, because that can run"
            " code; convert it with safetensors.torch.save_file"
        )
