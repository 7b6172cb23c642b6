"""Trees of params: expand keys with dots, merge, flatten, write."""

import re
from typing import Any

import yaml

_PARAM = re.compile(r"[A-Za-z_][\w-]*")

#: Nested params, as in params.yaml.
Tree = dict[str, Any]


def expand(values: dict, where: str, problems: list[str], prefix: str = "") -> Tree:
    """Turn keys with dots into nested mappings.

    Args:
        values: params by key, nested or with dots.
        where: file or option, for messages.
        problems: receives a line for each fault.
        prefix: key of `values` itself, with a dot at its end.
    """
    tree: Tree = {}
    for key, value in values.items():
        full = f"{prefix}{key}"
        parts = key.split(".") if isinstance(key, str) else []
        if not parts or not all(map(_PARAM.fullmatch, parts)):
            problems.append(f"{where}: {full} is not a param's name, such as train.mask.lr")
            continue
        if isinstance(value, dict):
            if not value:
                problems.append(
                    f"{where}: {full} is an empty mapping; write its params or remove it"
                )
            value = expand(value, where, problems, f"{full}.")
        elif not _is_plain(value):
            problems.append(
                f"{where}: {full} = {value!r} must be text, a number, true, false, null, or a"
                " list of these or of mappings"
            )
        for part in reversed(parts):
            value = {part: value}
        _insert(tree, value, where, problems, prefix)
    return tree


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(item is not None and _is_plain(item) for item in value)
    if isinstance(value, dict):  # in a list, such as features.views
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float)


def _insert(tree: Tree, new: Tree, where: str, problems: list[str], prefix: str) -> None:
    """Add keys to a tree that must not hold them yet."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _insert(tree[key], value, where, problems, f"{prefix}{key}.")
        elif key in tree:
            problems.append(f"{where}: {prefix}{key} is set twice; keep one")
        else:
            tree[key] = value


def merge(old: Tree, new: Tree, missing: list[str] | None = None, prefix: str = "") -> Tree:
    """Merge two trees; where both have a `name` and these differ, the new mapping replaces the old.

    Args:
        old: tree that is overridden; stays as it is.
        new: tree that overrides; null removes a key.
        missing: receives the keys to remove that `old` lacks.
        prefix: key of the trees themselves, with a dot at its end.
    """
    merged = dict(old)
    for key, value in new.items():
        full = f"{prefix}{key}"
        if value is None:
            if key not in merged and missing is not None:
                missing.append(full)
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            kept = before if isinstance(before, dict) and not replaces(before, value) else {}
            merged[key] = merge(kept, value, missing, f"{full}.")
            if not merged[key]:
                del merged[key]
        else:
            merged[key] = value
    return merged


def replaces(old: Any, new: Any) -> bool:
    """Whether these are two variants, e.g. two losses, whose params don't mix."""
    both = isinstance(old, dict) and isinstance(new, dict) and "name" in old and "name" in new
    return both and old["name"] != new["name"]


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Return values by dotted key; a variant (a mapping with a `name`) stays one value."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and "name" not in value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def dig(tree: Any, key: str) -> Any:
    """Return the value at a dotted key of nested mappings; None where there is none."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def to_line(value: Any) -> str:
    """Write a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
