"""Outs appear whole or not at all: write beside the target, then rename."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from portrait18.core.errors import REMAKE, UserError


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` when the block ends well and removed when it does not."""
    path = Path(path)
    aside = _aside(path)
    try:
        yield aside
        with open(aside, "rb") as written:
            os.fsync(written.fileno())  # else a power cut after the rename can leave an empty file
        os.replace(aside, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # that of a write does not say where to
        raise
    finally:
        aside.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.part{path.suffix}")


def require_writable(path: str | Path) -> None:
    """`OSError` now, not after hours of work, if `path` can't be written."""
    aside = _aside(Path(path))
    aside.touch()
    aside.unlink(missing_ok=True)


def write_bytes(data: bytes | memoryview, path: str | Path) -> None:
    """Write what is in memory: NumPy, PyTorch and safetensors, left to write by themselves, don't say a disk is full."""
    with whole(path) as aside:
        aside.write_bytes(data)


def file_digest(path: str | Path) -> str:
    """A hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(*modules: str) -> str:
    """A hash of this package's source, or of some modules': work that other code began is not gone on with."""
    package, digest = Path(__file__).parent, hashlib.blake2b(digest_size=16)
    for path in [package / f"{name}.py" for name in modules] or sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index; floats with seven significant digits."""
    with whole(path) as aside:
        table.to_csv(aside, index=False, float_format="%.7g", lineterminator="\n")


def write_json(value: dict, path: str | Path) -> None:
    """Write indented JSON with a final newline."""
    with whole(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")


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
        raise UserError(f"{path} is damaged ({error}); {REMAKE}") from None
