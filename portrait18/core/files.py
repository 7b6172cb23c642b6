"""Outs appear whole or not at all: write beside the target, then rename."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait18.core.errors import REPAIR_HINT, UserError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` when the block ends well and removed when it does not."""
    path = Path(path)
    tmp_path = _aside(path)
    try:
        yield tmp_path
        with open(tmp_path, "rb") as written:
            os.fsync(written.fileno())  # else a power cut after the rename can leave an empty file
        os.replace(tmp_path, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # that of a write does not say where to
        raise
    finally:
        tmp_path.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.part{path.suffix}")


def check_writable(path: str | Path) -> None:
    """`OSError` now, not after hours of work, if `path` can't be written."""
    tmp_path = _aside(Path(path))
    tmp_path.touch()
    tmp_path.unlink(missing_ok=True)


def write_bytes(data: bytes | memoryview, path: str | Path) -> None:
    """Write what is in memory: NumPy, PyTorch and safetensors, left to write by themselves, don't say a disk is full."""
    with atomic_write(path) as tmp_path:
        tmp_path.write_bytes(data)


def file_digest(path: str | Path) -> str:
    """A hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(value: dict, path: str | Path) -> None:
    """Write indented JSON with a final newline."""
    with atomic_write(path) as tmp_path:
        tmp_path.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: str | Path) -> dict:
    """Read what `write_json` wrote; `UserError` if there is no such file, or one that is damaged."""
    try:
        value = json.loads(Path(path).read_bytes())
        if not isinstance(value, dict):
            raise ValueError(f"it holds a {type(value).__name__}")
        return value
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run dvc repro") from None
    except ValueError as error:  # no UTF-8, no JSON
        raise UserError(f"{path} is damaged ({error}); {REPAIR_HINT}") from None
