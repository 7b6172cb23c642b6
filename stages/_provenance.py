"""Compare what a stage read at its start with what is there at its end.

DVC records params and dependencies when a stage ends. An edit during a long training would be
recorded with a network that was trained without it, and `dvc repro` would then skip the training.
So each stage that DVC started takes a snapshot of its dependencies first and fails if one has
changed at the end. Its outputs are then removed: they belong to no recorded state. Progress files
keep the finished work for a run with the old state.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from portrait18.core.errors import UserError
from stages._fingerprint import SOURCE_FOLDERS, code_files

#: What a missing or malformed params.yaml or dvc.yaml raises; a stage reports it with its reason.
UNREADABLE = (
    *(OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError),
    yaml.YAMLError,
)
TEMPLATE = re.compile(r"\$\{([^}]+)\}")


def _lookup(tree: Any, dotted: str) -> Any:
    """Return the value at a dotted key with optional list indices, such as `matrix.folds[0]`."""
    for part in re.findall(r"[^.\[\]]+", dotted):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return tree


def _fill(template: str, values: dict[str, Any], params: dict[str, Any]) -> str:
    """Replace `${...}` by matrix values and params."""

    def value(match: re.Match) -> str:
        key = match[1]
        return str(values[key] if key in values else _lookup(params, key))

    return TEMPLATE.sub(value, template)


def _matrix_values(entry: dict, stage: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `${item...}` and `${key}` of one stage.

    Args:
        entry: the stage's section of dvc.yaml.
        stage: DVC's name of it, such as `train@mask-0-0` or `crop@eval`.
        params: all of params.yaml.
    """
    _, _, suffix = stage.partition("@")
    if "foreach" in entry:
        item = entry["foreach"][suffix]
        values = {f"item.{name}": _fill(str(text), {}, params) for name, text in item.items()}
        return {"key": suffix, **values}
    names = list(entry.get("matrix", {}))
    parts = suffix.rsplit("-", len(names) - 1) if names else []
    return {f"item.{name}": part for name, part in zip(names, parts, strict=True)}


def _stat(path: Path) -> list[tuple[str, int, int]]:
    """Return name, size and modification time of a file, or of all files in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = []
    for file in files:
        if file.is_file():
            status = file.stat()
            found.append((file.as_posix(), status.st_size, status.st_mtime_ns))
    return found


class Snapshot:
    """What one stage depends on, at one moment.

    Args:
        stage: DVC's name of the stage, such as `train@mask-0-0`.
    """

    def __init__(self, stage: str):
        self.stage = stage
        name = stage.partition("@")[0]
        params = yaml.safe_load(Path("params.yaml").read_text())
        section = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][name]
        entry = section.get("do", section)
        values = _matrix_values(section, stage, params)
        keys = [_fill(key, values, params) for key in entry.get("params", [])]
        self.params = {key: _lookup(params, key) for key in keys}
        deps = [_fill(dep, values, params) for dep in entry["deps"]]
        inputs = [dep for dep in deps if dep.split("/")[0] not in SOURCE_FOLDERS]
        self.inputs = {dep: _stat(Path(dep)) for dep in inputs}
        outs = [*entry.get("outs", []), *entry.get("metrics", [])]
        self.outputs = [
            Path(_fill(out if isinstance(out, str) else next(iter(out)), values, params))
            for out in outs
        ]
        self.code = {path.as_posix(): path.read_bytes() for path in code_files(name)}

    def changes(self, later: "Snapshot") -> list[str]:
        """Return one line for each param, input and source file that differs later."""
        lines = [
            f"params.yaml: {key} was {old!r} when the stage started and is {new!r} now"
            for section, value in self.params.items()
            for key, old, new in _differences(section, value, later.params[section])
        ]
        lines += [
            f"{name} has changed since the stage started"
            for kind in ("inputs", "code")
            for name in sorted(getattr(self, kind).keys() | getattr(later, kind).keys())
            if getattr(self, kind).get(name) != getattr(later, kind).get(name)
        ]
        return lines


def _differences(key: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """Return (dotted key, old value, new value) of every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [d for k in keys for d in _differences(f"{key}.{k}", old.get(k), new.get(k))]
    return [] if old == new else [(key, old, new)]


def start(module: str) -> Snapshot | None:
    """Return a snapshot if DVC started this process and it is the one that writes, else None.

    Args:
        module: name of the stage's module. `prune` changes the inputs of the stage that runs it
            first, and has nothing to record.
    """
    stage = os.environ.get("DVC_STAGE")
    if not stage or os.environ.get("RANK", "0") != "0" or module == "prune":
        return None
    try:
        return Snapshot(stage)
    except UNREADABLE:
        return None  # the stage validates params.yaml and its inputs, with better messages


def verify(snapshot: Snapshot | None) -> None:
    """Compare a snapshot with the present state.

    Raises:
        UserError: something has changed; DVC then records nothing.
    """
    if snapshot is None:
        return
    try:
        lines = snapshot.changes(Snapshot(snapshot.stage))
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        lines = [f"params.yaml or dvc.yaml changed while the stage ran and is invalid: {reason}"]
    if lines:
        for path in snapshot.outputs:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise UserError(
            lines,
            f"{snapshot.stage} was not recorded: DVC would pair the new state with the old result;"
            " undo the edit and run dvc repro to keep the finished work, or run dvc repro to start"
            " again with the edit",
        )
