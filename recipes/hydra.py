"""Write values as Hydra overrides, the syntax of `dvc exp run --set-param`."""

import re
from typing import Any

from recipes.values import Tree, dig, flatten, replaces

#: Text that Hydra reads as text without quotes; other text could be a number, a list or a sweep.
_BARE = re.compile(r"[A-Za-z_][\w/.-]*")
_WORDS = ("null", "true", "false", "nan", "inf")


def overrides(values: Tree, params: Tree) -> list[str]:
    """Return one or two overrides for each value.

    Args:
        values: a resolved recipe.
        params: params.yaml, nested. Hydra merges mappings, so the mapping of another variant there
            has to be removed first.
    """
    lines = []
    for key, value in flatten(values).items():
        if replaces(dig(params, key), value):
            lines.append(f"~{key}")
        lines.append(f"++{key}={quote(value)}")  # ++ sets a key, or adds one to a model's section
    return lines


def quote(value: Any) -> str:
    """Write a value of YAML in Hydra's syntax; text is quoted where it could be read otherwise."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(quote, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{quote(item)}" for key, item in value.items()) + "}"
    if _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # OmegaConf interpolates ${...}; Hydra takes backslashes literally unless a quote follows.
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), escaped) + "'"
