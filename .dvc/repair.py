"""Remove damaged files that DVC keeps, so that `dvc repro` makes them again: make repair.

DVC treats a write-protected file in its cache as intact, and outputs are links into the cache.
A damaged file there would therefore come back with every checkout. A kill at the wrong moment can
also leave a truncated dvc.lock, a truncated list of locks, or locks of a process that has ended.
Removing dvc.lock repeats no work: DVC finds the outputs of the same inputs in its cache.
If the cache is lost, the outputs that match dvc.lock are stored in it again. Otherwise DVC would
repeat every stage.
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

#: Files that .dvcignore excludes from the hash of a folder.
IGNORED = ("__pycache__", "._*", ".DS_Store", "Thumbs.db")


def digest(path: Path) -> str:
    """Return the MD5 hash of a file, as DVC computes it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def remove(path: Path) -> None:
    """Remove a damaged file or folder and report it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{path} was damaged, removed")


def locked_outputs(lock: Path, pipeline: dict) -> list[tuple[Path, str]]:
    """Return (path, hash) of the outputs in dvc.lock; remove a lock file that is incomplete.

    DVC keeps entries of former stages. Only those that dvc.yaml still has describe the files.
    """
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
    present = [stage for name, stage in stages.items() if is_present(name, pipeline)]
    return [(Path(e["path"]), e["md5"]) for stage in present for e in stage.get("outs", [])]


def is_present(name: str, pipeline: dict) -> bool:
    """Return whether dvc.yaml has a stage of this name, such as `crop@train`."""
    group, _, item = name.partition("@")
    stage = pipeline.get(group)
    return stage is not None and bool(item) == ("matrix" in stage or "foreach" in stage)


def damaged_objects(cache: Path) -> Iterator[Path]:
    """Yield the files of the cache whose content does not match the hash in their name."""
    for path in sorted(cache.glob("files/md5/??/*")):
        if path.parent.name + path.name.removesuffix(".dir") != digest(path):
            yield path


def content(path: Path) -> dict[str, tuple[Path, bytes | None]]:
    """Return hash -> (file or folder, listing of a folder) of an output and of the files in it.

    A folder's hash is that of its listing, as DVC writes it.
    """
    if path.is_file():
        return {digest(path): (path, None)}
    ignored = shutil.ignore_patterns(*IGNORED)
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(path)
        for name in set(names) - ignored(folder, names)
    ]
    entries = sorted(
        ({"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in files),
        key=lambda entry: entry["relpath"],
    )
    listing = json.dumps(entries, sort_keys=True).encode()
    found: dict = {hashlib.md5(listing).hexdigest() + ".dir": (path, listing)}
    return found | {entry["md5"]: (path / entry["relpath"], None) for entry in entries}


def uncached_outputs(pipeline: dict) -> set[str]:
    """Return the outputs that dvc.yaml keeps out of the cache, because git has them."""
    entries = [
        entry
        for stage in pipeline.values()
        for kind in ("outs", "metrics")
        for entry in stage.get("do", stage).get(kind, [])
        if isinstance(entry, dict)
    ]
    return {
        path for entry in entries for path, flags in entry.items() if flags.get("cache") is False
    }


def store(found: dict[str, tuple[Path, bytes | None]], cache: Path) -> bool:
    """Add an intact output to the cache; return whether anything was missing there."""
    missing = {
        md5: entry
        for md5, entry in found.items()
        if not (cache / "files/md5" / md5[:2] / md5[2:]).exists()
    }
    for md5, (path, listing) in missing.items():
        target = cache / "files/md5" / md5[:2] / md5[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        tmp_path = target.with_name(f".{target.name}.part")
        tmp_path.unlink(missing_ok=True)
        if listing is None:
            link_or_copy(path, tmp_path)
        else:
            tmp_path.write_bytes(listing)
        tmp_path.chmod(0o444)  # DVC trusts write-protected files
        tmp_path.rename(target)
    return bool(missing)


def link_or_copy(path: Path, target: Path) -> None:
    """Link a file, as DVC does to save disk space, or copy it to another disk."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


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


def cache_folder() -> Path:
    """Return DVC's cache; exit with an error if DVC can't read this folder's project."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"dvc exited with {done.returncode}"]
        sys.exit(f"error: dvc cache dir: {lines[0].removeprefix('ERROR: ')}")
    return Path(done.stdout.strip())


def main() -> None:
    """Check the lock files, the cache and the outputs of the current folder's project."""
    cache = cache_folder()
    repair_locks(Path(".dvc/tmp/rwlock"))
    for path in damaged_objects(cache):
        remove(path)
    pipeline = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    uncached, stored = uncached_outputs(pipeline), 0
    for path, expected in locked_outputs(Path("dvc.lock"), pipeline):
        if not path.exists():
            continue
        found = content(path)
        if expected not in found:
            remove(path)
        elif path.as_posix() not in uncached:
            stored += store(found, cache)
    if stored:
        print(f"{stored} intact outputs were missing from DVC's cache, stored there again")
    print("all other files are intact; run dvc repro")


if __name__ == "__main__":
    main()
