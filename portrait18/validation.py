"""Sections of settings as pydantic models, and what is wrong with one in a line each."""

import difflib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Field(ge=0, le=1)


class Section(BaseModel):
    """Base of all sections; a text that reads as a number is taken as one (`-S lr=0.00001` writes `1e-05`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def holds(section: Any, key: str) -> bool:
    """Whether a dotted key stands in a section."""
    for part in key.split("."):
        if not isinstance(section, dict) or part not in section:
            return False
        section = section[part]
    return True


def validate(kind: type[Section], raw: Any, where: Callable[[str], str], problems: list[str]) -> Section | None:
    """Make a section of what YAML holds; where that fails, None, and a line for each fault added to `problems`.

    Args:
        where: dotted key within the section -> how messages name it.
    """
    try:
        return kind.model_validate({} if raw is None else raw)
    except ValidationError as error:
        for e in error.errors():
            key = ".".join(str(part) for part in e["loc"])
            at = where(key) if key else where("").rstrip(".")
            if e["type"] == "extra_forbidden":
                fields = _fields(kind, e["loc"][:-1])
                problems.append(f"{at} is not a param{nearest(str(e['loc'][-1]), fields)}")
            elif e["type"] == "missing":
                problems.append(f"{at} is missing; copy its line from the params.yaml of the repository")
            elif e["type"] == "value_error":
                problems.append(f"{at}: {e['msg'].removeprefix('Value error, ')}")
            else:
                problems.append(f"{at} = {e['input']!r}: {e['msg'][0].lower()}{e['msg'][1:]}")
        return None


def _fields(kind: type[Section], loc: tuple) -> list[str]:
    for part in loc:
        if part in kind.model_fields:
            kind = kind.model_fields[part].annotation
    return list(kind.model_fields)


def nearest(word: str, allowed: list[str]) -> str:
    """The end of an error line: the nearest allowed word, and all of them."""
    near = difflib.get_close_matches(word, allowed, 1)
    return (f"; did you mean {near[0]}?" if near else ";") + f" known are {', '.join(allowed)}"
