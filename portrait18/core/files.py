"""Atomic writes: files appear complete or not at all; and paths of a command line."""

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait18.core.errors import REPAIR_HINT, UserError

_LONG_NAME = 100  # bytes; file systems allow 143 to 255


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces `path` if the block succeeds.

    If the block fails, the temporary file is removed and `path` keeps its content.
    """
    path = Path(path)
    tmp_path = temporary_path(path)
    tmp_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield tmp_path
        with open(tmp_path, "rb") as written:
            os.fsync(written.fileno())  # without it, a power cut can leave an empty file
        os.replace(tmp_path, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # errors of write() do not name it
        raise
    finally:
        tmp_path.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return the path that `atomic_write` writes to before it replaces `path`."""
    name = path.name
    if len(os.fsencode(name)) > _LONG_NAME:  # else the temporary name could be too long
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return path.with_name(f".{name}.part{path.suffix}")


def check_writable(path: str | Path) -> None:
    """Raise `OSError` if `path` can't be written, before hours of work rather than after."""
    tmp_path = temporary_path(Path(path))
    tmp_path.parent.mkdir(parents=True, exist_ok=True)
    tmp_path.touch()
    tmp_path.unlink(missing_ok=True)


def write_bytes(data: bytes | memoryview, path: str | Path) -> None:
    """Write bytes. NumPy, PyTorch and safetensors do not report a full disk when they write."""
    with atomic_write(path) as tmp_path:
        tmp_path.write_bytes(data)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(value: dict, path: str | Path) -> None:
    """Write indented JSON with a final newline."""
    with atomic_write(path) as tmp_path:
        tmp_path.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON object that `write_json` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        value = json.loads(Path(path).read_bytes())
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__}, not an object")
        return value
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise UserError(f"{path} is damaged ({error}); {REPAIR_HINT}") from None


def path_argument(text: str) -> Path:
    """Return the path that a command-line argument names; the `type` of an argparse argument.

    Raises:
        ArgumentTypeError: it is empty, like an unset variable of a shell. `Path` would take that
            for the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("an empty path; name a file or folder, or . for this one")
    return Path(text)
