"""Sections of settings as pydantic models, and one line of text for each validation error."""

import difflib
import reprlib
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

#: Largest integer that NumPy and PyTorch accept.
LARGEST = 2**63 - 1
#: A field from 0 to 1.
Fraction = Field(ge=0, le=1)


def _reject_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            f"{value} is a boolean (YAML reads yes, no, on and off as booleans too); use a number"
        )
    return value


def _reject_too_large(value: int) -> int:
    if abs(value) > LARGEST:
        raise ValueError(f"{short(value)} is too large; use {LARGEST} at most")
    return value


def unique(values: list) -> list:
    """Return a list without duplicates.

    Raises:
        ValueError: it has duplicates.
    """
    if len(set(values)) < len(values):
        raise ValueError(f"{values} contains duplicates; name each once")
    return values


# Text that reads as a number is cast, because `dvc exp run -S lr=0.00001` writes the text `1e-05`.
# pydantic's strict mode would reject it, and its lax mode takes true for 1.
Int = Annotated[int, BeforeValidator(_reject_bool), AfterValidator(_reject_too_large)]
Float = Annotated[float, BeforeValidator(_reject_bool)]


class Section(BaseModel):
    """Base of all sections.

    Attributes:
        renamed: former name of a key of this section -> its present name, for "did you mean".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _empty_section(cls, value: Any) -> Any:
        return (
            {} if value is None else value
        )  # `crop:` with nothing below it: name the missing keys


SectionT = TypeVar("SectionT", bound=Section)


def named(value: Any) -> Any:
    """Return the section that a bare name stands for: `focal` is short for `{name: focal}`."""
    return {"name": value} if isinstance(value, str) else {} if value is None else value


def short(value: Any) -> str:
    """Return the repr of a value, shortened: with YAML aliases a small file can hold billions."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python refuses to print an int of more than 4300 digits
        return "a number of thousands of digits"


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 2, 10, 10
_SHORT.maxstring, _SHORT.maxother = 200, 200


def nearest(word: str, allowed: list[str]) -> str:
    """Return the end of an error line: the nearest allowed word, and all of them."""
    return _hint(next(iter(difflib.get_close_matches(word, allowed, 1)), ""), allowed)


def _hint(near: str, allowed: list[str]) -> str:
    return f";{near and f' did you mean {near}?'} known are {', '.join(allowed) or 'none'}"


def validate(
    section: type[SectionT], raw: Any, where: Callable[[str], str], problems: list[str]
) -> SectionT | None:
    """Parse a section.

    Args:
        section: the pydantic model.
        raw: what YAML or the environment holds.
        where: function from a dotted key ("" for the section itself) to its name in messages.
        problems: a line is appended for each error.

    Returns:
        The section, or None if there are errors.
    """
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        problems += [_line(section, dict(e), where) for e in error.errors()]
        return None


def _line(section: type[Section], error: dict[str, Any], where: Callable[[str], str]) -> str:
    keys, parent, alternatives = _locate(section, error["loc"])
    at, last = where(".".join(keys)), keys[-1] if keys else ""
    given, kind = short(error["input"]), error["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        assert parent
        takers = [name for name, kind in alternatives.items() if last in kind.model_fields]
        if takers:
            (chosen,) = get_args(parent.model_fields["name"].annotation)
            return (
                f"{at} = {given} has no effect with {keys[-2]} {chosen}; remove it, or set"
                f" {keys[-2]}.name to {' or '.join(takers)}"
            )
        allowed = list(parent.model_fields)
        if last in parent.renamed:
            return f"{at} is unknown{_hint(parent.renamed[last], allowed)}"
        return f"{at} is unknown{nearest(last, allowed)}"
    if kind == "missing":
        field = parent.model_fields[last] if parent else None
        if field and field.examples:
            return f"{at} is missing; a usual value is {field.examples[0]}"
        return f"{at} is missing; copy it from the params.yaml of the repository"
    if kind == "union_tag_not_found":
        return f"{at}.name is missing; use one of {', '.join(alternatives)}"
    if kind == "union_tag_invalid":
        tag = str(error["ctx"]["tag"])
        return f"{at} = {short(tag)} is unknown{nearest(tag, list(alternatives))}"
    if kind in ("model_type", "model_attributes_type"):
        names = f"one of {', '.join(alternatives)}, or " if alternatives else ""
        return f"{at} = {given}: must be {names}a section"
    if kind == "list_type":
        return f"{at} = {given}: must be a list, such as [{given}]"
    if kind == "value_error":
        return f"{at}: {error['msg'].removeprefix('Value error, ')}"
    return f"{at} = {given}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _locate(
    section: type[Section], loc: tuple[int | str, ...]
) -> tuple[list[str], type[Section] | None, dict[str, type[Section]]]:
    """Follow the location of an error through the fields of a section.

    Returns:
        The keys that lead there, without the tags of unions; the section that holds the last key;
        and, if that key or its section is a union of named sections, these by their names.
    """
    keys: list[str] = []
    node: Any = section
    parent: type[Section] | None = None
    alternatives: dict[str, type[Section]] = {}
    for part in loc:
        if part in (members := tagged(node)):
            node, alternatives = members[str(part)], members
            continue
        keys.append(str(part))
        if isinstance(node, type) and issubclass(node, Section):
            parent = node
            field = node.model_fields.get(str(part))
            node = field.annotation if field else None
        elif get_origin(node) in (dict, list):
            node, alternatives = get_args(node)[-1], {}
        else:
            node = None
        alternatives = tagged(node) or ({} if node else alternatives)
    return keys, parent, alternatives


def tagged(annotation: Any) -> dict[str, Any]:
    """Return the members of a union of sections by their `name`, {} for any other annotation."""
    members = get_args(annotation)
    if (
        get_origin(annotation) is list
        or not members
        or not all(isinstance(m, type) and issubclass(m, Section) for m in members)
    ):
        return {}
    return {get_args(m.model_fields["name"].annotation)[0]: m for m in members}
