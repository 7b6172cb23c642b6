"""Sections of settings as pydantic models, and what is wrong with one in a line each."""

import difflib
import reprlib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

Share = Field(ge=0, le=1)
LARGEST = 2**63 - 1  # what NumPy and PyTorch take for a whole number


class Section(BaseModel):
    """Base of all sections; a text that reads as a number is taken as one (`-S lr=0.00001` writes `1e-05`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if cls.model_fields[info.field_name].annotation is not bool:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, bool):
                    raise ValueError(
                        f"{short(item)} is true or false (as yes, no, on, off are), none is taken here"
                    )
        return value

    @field_validator("*")
    @classmethod
    def _not_too_large(cls, value: Any) -> Any:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int) and abs(item) > LARGEST:
                raise ValueError(f"{short(item)} is too large a number; at most {LARGEST} will do")
        return value


def short(value: Any) -> str:
    """What a value looks like, cut where it is long: aliases let a small file hold a list of billions."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = (
    2,
    10,
    10,
    200,
    200,
)


def holds(section: Any, key: str) -> bool:
    """Whether a dotted key stands in a section."""
    for part in key.split("."):
        if not isinstance(section, dict) or part not in section:
            return False
        section = section[part]
    return True


def validate(
    kind: type[Section], raw: Any, where: Callable[[str], str], problems: list[str]
) -> Section | None:
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
                problems.append(
                    f"{at} is missing; copy its line from the params.yaml of the repository"
                )
            elif e["type"] == "list_type":
                problems.append(
                    f"{at} = {short(e['input'])}: a list is wanted, such as [{short(e['input'])}]"
                )
            elif e["type"] == "value_error":
                problems.append(f"{at}: {e['msg'].removeprefix('Value error, ')}")
            else:
                problems.append(f"{at} = {short(e['input'])}: {e['msg'][0].lower()}{e['msg'][1:]}")
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
