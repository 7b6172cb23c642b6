"""One fingerprint of a stage's source code, from the same list of dependencies that DVC uses."""

import hashlib
from pathlib import Path

import yaml

SOURCE_FOLDERS = ("portrait18", "stages")


def code_files(stage: str, root: Path = Path()) -> list[Path]:
    """Return the source files that dvc.yaml lists for a stage, folders expanded, sorted.

    Args:
        stage: name in dvc.yaml, without the matrix suffix (`train`, not `train@mask-0-0`).
        root: folder of dvc.yaml.
    """
    entry = yaml.safe_load((root / "dvc.yaml").read_text())["stages"][stage]
    deps = [
        root / dep for dep in entry.get("do", entry)["deps"] if dep.split("/")[0] in SOURCE_FOLDERS
    ]
    files = [path for dep in deps for path in (dep.rglob("*") if dep.is_dir() else [dep])]
    return sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)


def code_fingerprint(stage: str, root: Path = Path()) -> str:
    """Return a hash of the stage's source files.

    Checkpoints, journals and crop reuse store it, so that unfinished work is resumed only by code
    that DVC considers unchanged.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in code_files(stage, root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
