"""Remove what is damaged among the files that DVC keeps, so that `dvc repro` makes it again: make mend

DVC takes a write-protected file in its cache for a good one, and outs are links into the cache: what a disk or a
program damaged there would come back for ever. A kill at the wrong moment leaves half a dvc.lock, half a list of
locks, or locks of a process whose number another one has by now. Without dvc.lock nothing is made again: DVC finds
in its cache what has been made of the same inputs.
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
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{path} was damaged, removed")


def outs(lock: Path) -> list[tuple[Path, str]]:
    """(path, its hash) of each out that the lock names; removes a lock that is no whole one."""
    try:
        stages = yaml.safe_load(lock.read_text())["stages"]
        entries = [
            e for stage in stages.values() for kind in ("deps", "outs") for e in stage.get(kind, [])
        ]
        if not all(isinstance(e[key], str) for e in entries for key in ("path", "md5")):
            raise ValueError("half an entry")
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
        remove(lock)
        return []
    return [(Path(e["path"]), e["md5"]) for stage in stages.values() for e in stage.get("outs", [])]


def damaged_objects(cache: Path) -> Iterator[Path]:
    """Files of the cache whose content is not what their name says."""
    for path in sorted(cache.glob("files/md5/??/*")):
        if path.parent.name + path.name.removesuffix(".dir") != digest(path):
            yield path


def is_intact(path: Path, told: str, cache: Path) -> bool:
    """Whether an out, a file or a folder, is what the lock says."""
    if path.is_file():
        return digest(path) == told
    listing = cache / "files/md5" / told[:2] / told[2:]
    files = json.loads(listing.read_text()) if listing.exists() else []
    return bool(files) and all(
        (path / file["relpath"]).is_file() and digest(path / file["relpath"]) == file["md5"]
        for file in files
    )


def runs_dvc(pid: int) -> bool:
    """Whether this process is there and a DVC: a number may be another program's by now, or one not yet collected."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "dvc" in map(
            os.path.basename, process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False


def mend_locks(path: Path) -> None:
    """Remove DVC's list of locks where it is half written or no process that it names runs DVC any more.

    One that does ends this program: what a stage is writing just now is no damage.
    """
    if not path.exists():
        return
    try:
        listed = json.loads(path.read_text())
    except ValueError:
        remove(path)
        return
    writers = listed.get("write", {}).values()
    holders = [
        *writers,
        *(reader for readers in listed.get("read", {}).values() for reader in readers),
    ]
    if running := sorted({holder["pid"] for holder in holders if runs_dvc(holder["pid"])}):
        sys.exit(
            f"error: dvc is running (process {', '.join(map(str, running))}); end it or wait, then make mend"
        )
    if holders:
        path.unlink()
        print(f"{path} named no process that runs DVC, removed")


def main() -> None:
    dvc = [sys.executable, "-m", "dvc"]
    cache = Path(
        subprocess.run(
            [*dvc, "cache", "dir"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    mend_locks(Path(".dvc/tmp/rwlock"))
    for path in damaged_objects(cache):
        remove(path)
    for path, told in outs(Path("dvc.lock")):
        if path.exists() and not is_intact(path, told, cache):
            remove(path)
    print("what is left is whole; go on with dvc repro")


if __name__ == "__main__":
    main()
