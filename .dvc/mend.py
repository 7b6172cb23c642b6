"""Remove what is damaged among the files that DVC keeps, so that `dvc repro` makes it again: make mend

DVC takes a write-protected file in its cache for a good one, and outs are links into the cache: what a disk or a
program damaged there would come back for ever. A kill at the wrong moment leaves half a dvc.lock or half a list of
locks. Without dvc.lock nothing is made again: DVC finds in its cache what has been made of the same inputs.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
        entries = [e for stage in stages.values() for kind in ("deps", "outs") for e in stage.get(kind, [])]
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


def whole(path: Path, told: str, cache: Path) -> bool:
    """Whether an out, a file or a folder, is what the lock says."""
    if path.is_file():
        return digest(path) == told
    listing = cache / "files/md5" / told[:2] / told[2:]
    files = json.loads(listing.read_text()) if listing.exists() else []
    return bool(files) and all(
        (path / file["relpath"]).is_file() and digest(path / file["relpath"]) == file["md5"] for file in files
    )


def main() -> None:
    dvc = [sys.executable, "-m", "dvc"]
    cache = Path(subprocess.run([*dvc, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip())
    locks = Path(".dvc/tmp/rwlock")
    if locks.exists():
        try:
            json.loads(locks.read_text())
        except ValueError:
            remove(locks)
    for path in damaged_objects(cache):
        remove(path)
    for path, told in outs(Path("dvc.lock")):
        if path.exists() and not whole(path, told, cache):
            remove(path)
    print("what is left is whole; go on with dvc repro")


if __name__ == "__main__":
    main()
