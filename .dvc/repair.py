"""Remove damaged files that DVC keeps, so that `dvc repro` makes them again: make repair.

DVC treats a write-protected file in its cache as intact, and outputs are links into the cache.
A damaged file there would therefore come back with every checkout. A kill at the wrong moment can
also leave a truncated dvc.lock, a truncated list of locks, or locks of a process that has ended.
Removing dvc.lock repeats no work: DVC finds the outputs of the same inputs in its cache.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml


def digest(path: Path) -> str:
    """Return the MD5 hash of a file, as DVC computes it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def remove(path: Path) -> None:
    """Remove a damaged file or folder and report it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{path} was damaged, removed")


def locked_outputs(lock: Path) -> list[tuple[Path, str]]:
    """Return (path, hash) of each output in dvc.lock; remove a lock file that is incomplete."""
    try:
        stages = yaml.safe_load(lock.read_text())["stages"]
        entries = [
            e for stage in stages.values() for kind in ("deps", "outs") for e in stage.get(kind, [])
        ]
        if not all(isinstance(e[key], str) for e in entries for key in ("path", "md5")):
            raise ValueError("incomplete entry")
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
        remove(lock)
        return []
    return [(Path(e["path"]), e["md5"]) for stage in stages.values() for e in stage.get("outs", [])]


def damaged_objects(cache: Path) -> Iterator[Path]:
    """Yield the files of the cache whose content does not match the hash in their name."""
    for path in sorted(cache.glob("files/md5/??/*")):
        if path.parent.name + path.name.removesuffix(".dir") != digest(path):
            yield path


def is_intact(path: Path, expected: str, cache: Path) -> bool:
    """Return whether an output, a file or a folder, matches the hash in dvc.lock."""
    if path.is_file():
        return digest(path) == expected
    listing = cache / "files/md5" / expected[:2] / expected[2:]
    files = json.loads(listing.read_text()) if listing.exists() else []
    return bool(files) and all(
        (path / file["relpath"]).is_file() and digest(path / file["relpath"]) == file["md5"]
        for file in files
    )


def runs_dvc(pid: int) -> bool:
    """Return whether a process exists and is a DVC.

    The system may have given the number to another program, or the process may be a zombie.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "dvc" in map(
            os.path.basename, process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False


def repair_locks(path: Path) -> None:
    """Remove DVC's list of locks if it is truncated or names no running DVC process.

    Exit with an error if DVC is running: a file that a stage is writing is not damaged.
    """
    if not path.exists():
        return
    try:
        locks = json.loads(path.read_text())
    except ValueError:
        remove(path)
        return
    holders = list(locks.get("write", {}).values())
    holders += [reader for readers in locks.get("read", {}).values() for reader in readers]
    if running := sorted({holder["pid"] for holder in holders if runs_dvc(holder["pid"])}):
        pids = ", ".join(map(str, running))
        sys.exit(f"error: dvc is running (process {pids}); stop it or wait, then run make repair")
    if holders:
        path.unlink()
        print(f"{path} named no running DVC process, removed")


def main() -> None:
    """Check the lock files, the cache and the outputs of the current folder's project."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    repair_locks(Path(".dvc/tmp/rwlock"))
    for path in damaged_objects(cache):
        remove(path)
    for path, expected in locked_outputs(Path("dvc.lock")):
        if path.exists() and not is_intact(path, expected, cache):
            remove(path)
    print("all other files are intact; run dvc repro")


if __name__ == "__main__":
    main()
