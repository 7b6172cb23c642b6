"""Recipes: sets of -S overrides, one file each; one may start from another by `# from: PARENT` in its comments."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from portrait18.core.errors import UserError
from portrait18.core.validation import nearest

FOLDER = Path("recipes")
_LINE = re.compile(r"(?P<prefix>\+\+|\+|~|)(?P<key>[^\s=+~]+)(?:=(?P<value>.*))?")


class Override(NamedTuple):
    """One override in Hydra's syntax; `value` as Hydra reads it, with its quotes, None where `~key` deletes."""

    prefix: str  # "" sets what is there, + adds, ++ does either, ~ deletes
    key: str
    value: str | None

    def __str__(self) -> str:
        return f"{self.prefix}{self.key}" + ("" if self.value is None else f"={self.value}")


class Recipe(NamedTuple):
    """One file of recipes/, without what it takes from its parent."""

    name: str
    parent: str | None
    says: str  # first sentence of its head
    overrides: tuple[Override, ...]


def known() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def override(line: str, where: str) -> Override:
    """Read one override.

    Raises:
        UserError: it is none; `where` says in which place.
    """
    found = _LINE.fullmatch(line)
    if not found or (found["value"] is None) != (found["prefix"] == "~"):
        raise UserError(f"{where}: {line!r} is no override; write KEY=VALUE, ++KEY=VALUE or ~KEY")
    return Override(**found.groupdict())


def read(name: str) -> Recipe:
    """Read one recipe.

    Raises:
        UserError: none named, no such recipe, or all bad lines of its file.
    """
    path = FOLDER / f"{name}.txt"
    if not name:
        raise UserError(f"no recipe is named; make recipe NAME=..., one of {', '.join(known())}")
    if name not in known():
        raise UserError(f"{path} does not exist{nearest(name, known())}")
    parents, problems, overrides = [], [], {}
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines, 1):
        where = f"{path} line {number}"
        if comes_from := re.match(r"#\s*from:\s*(.*)", line):
            parents.append(comes_from[1])
        elif line and not line.startswith("#"):
            try:
                new = override(line, where)
            except UserError as error:
                problems += error.problems
                continue
            if new.key in overrides:
                problems.append(
                    f"{where}: {new.key} is set twice in this file; keep one of the lines"
                )
            overrides[new.key] = new
    if len(parents) > 1:
        problems.append(
            f"{path}: from: is there {len(parents)} times ({', '.join(parents)}); keep one"
        )
    if problems:
        raise UserError(problems)
    return Recipe(
        name,
        parents[0] if parents else None,
        _first_sentence(name, lines),
        tuple(overrides.values()),
    )


def _first_sentence(name: str, lines: list[str]) -> str:
    """Of the head's first paragraph, without the recipe's own name before it."""
    words = []
    for line in lines:
        text = line.lstrip("#").strip()
        if not line.startswith("#") or (not text and words):
            break
        if not text.startswith("from:"):
            words += text.split()
    paragraph = " ".join(words).removeprefix(f"{name}: ")
    return re.match(r"(.*?[.!?](?=\s|$)|.*)", paragraph)[0]


def lineage(name: str) -> list[Recipe]:
    """The recipe and what it starts from, the oldest first.

    Raises:
        UserError: a recipe that does not exist or cannot be read, or one that starts from itself.
    """
    chain = [read(name)]
    while (parent := chain[-1].parent) is not None:
        path = FOLDER / f"{chain[-1].name}.txt"
        names = [recipe.name for recipe in chain]
        if parent in names:
            raise UserError(
                f"{path}: from: leads in a circle ({' -> '.join([*names, parent])}); take one of them out"
            )
        if parent not in known():
            raise UserError(f"{path}: from: {parent!r} does not exist{nearest(parent, known())}")
        chain.append(read(parent))
    return chain[::-1]


def merge(base: dict[str, Override], added: Iterable[Override]) -> dict[str, Override]:
    """Overrides by key, `added` after `base` and in place of the same key there, whatever stands before the key.

    A key that `base` adds (`+`, `++`) stays added when the new line only sets it, for params.yaml may not have it;
    `~key` takes such a line back.
    """
    merged = dict(base)
    for new in added:
        old = merged.pop(
            new.key, None
        )  # the new line goes to the end: it may follow a line that sets its section
        if old and old.prefix.startswith("+"):
            if new.prefix == "~":
                continue
            if new.prefix == "":
                new = new._replace(prefix=old.prefix)
        elif old and old.prefix == "~" and new.prefix == "+":
            new = new._replace(
                prefix="++"
            )  # without the deletion the key is there, which + refuses
        merged[new.key] = new
    return merged


def resolve(name: str) -> dict[str, Override]:
    """All overrides of a recipe by their key, those of its parents included."""
    merged: dict[str, Override] = {}
    for recipe in lineage(name):
        merged = merge(merged, recipe.overrides)
    return merged


def changes(name: str) -> list[str]:
    """The overrides that differ from the parent's; `~key` for a line of the parent that is taken back."""
    *older, recipe = lineage(name)
    own, before = resolve(name), resolve(older[-1].name) if older else {}
    return [str(o) for key, o in own.items() if before.get(key) != o] + [
        f"~{key}" for key in before if key not in own
    ]
