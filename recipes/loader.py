"""Read recipes: named sets of param values, one YAML file each; one may build on another.

    about: CutMix in vertical halves.                    # first sentence: what it tries
    base: small                                          # optional: the recipe it builds on
    set:                                                 # params, nested or with dots
      train.heads.mix: {name: halves, partner: any, probability: 1.0}

A value of the recipe replaces the base's. `null` resets a value of the base to that of params.yaml.
A mapping is merged into the one it overrides, unless both have a `name` and the names differ: then
it replaces it, as in params.yaml itself.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from portrait18.core.errors import UserError
from portrait18.core.validation import nearest
from recipes.values import Tree, expand, flatten, merge

FOLDER = Path("recipes")
_KEYS = ("about", "base", "set")


@dataclass(frozen=True)
class Recipe:
    """One file of recipes/, without the values of its base."""

    name: str
    base: str | None
    about: str
    values: Tree  # null where a value of the base is reset

    @property
    def summary(self) -> str:
        """First sentence of `about`."""
        paragraph = " ".join(self.about.strip().split("\n\n")[0].split())
        match = re.match(r".*?[.!?](?=\s|$)", paragraph)
        return match[0] if match else paragraph


def path_of(name: str) -> Path:
    """Return the file of a recipe."""
    return FOLDER / f"{name}.yaml"


def names() -> list[str]:
    """List the recipes in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read(name: str) -> Recipe:
    """Read one recipe.

    Raises:
        UserError: No name, no such recipe, or everything that is wrong with its file.
    """
    path = path_of(name)
    if not name:
        raise UserError(f"no recipe named; use make recipe NAME=..., one of {', '.join(names())}")
    if name not in names():
        raise UserError(f"{path} does not exist{nearest(name, names())}")
    raw = load_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path} must be a mapping with the keys {', '.join(_KEYS)}")
    problems = [
        f"{path}: {key} is not a key of a recipe{nearest(str(key), list(_KEYS))}"
        for key in raw
        if key not in _KEYS
    ]
    about, base, values = raw.get("about"), raw.get("base"), raw.get("set")
    if not isinstance(about, str) or not about.strip():
        about = ""
        problems.append(
            f"{path}: about = {raw.get('about')!r} must be text that says what the recipe tries"
        )
    if base is not None and not isinstance(base, str):
        problems.append(f"{path}: base = {base!r} must be the name of a recipe")
    if not isinstance(values, dict) or not values:
        problems.append(
            f"{path}: set = {values!r} must map params to values, e.g. {{split.folds: 5}}"
        )
        values = {}
    tree = expand(values, str(path), problems)
    if problems:
        raise UserError(problems)
    return Recipe(name, base, about, tree)


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML's safe loader, which keeps the last of several equal keys; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} is there twice; keep one")
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """Read a YAML file; see `parse_yaml`."""
    return parse_yaml(path.read_bytes(), str(path))


def parse_yaml(text: str | bytes, where: str) -> Any:
    """Parse YAML; equal keys in a mapping are an error.

    Raises:
        UserError: Not valid YAML; `where` names the file or option.
    """
    try:
        return yaml.load(text, _UniqueKeys)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML passes on what its constructors raise, e.g. for the date 2020-13-45.
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None


def lineage(name: str) -> list[Recipe]:
    """Return a recipe and those that it builds on, the oldest first.

    Raises:
        UserError: One of them does not exist, can't be read, or builds on itself.
    """
    recipes = [read(name)]
    while (base := recipes[-1].base) is not None:
        path = path_of(recipes[-1].name)
        known = [recipe.name for recipe in recipes]
        if base in known:
            raise UserError(
                f"{path}: base goes in a circle ({' -> '.join([*known, base])}); remove one of them"
            )
        if base not in names():
            raise UserError(f"{path}: base {base!r} does not exist{nearest(base, names())}")
        recipes.append(read(base))
    return recipes[::-1]


def resolve(name: str) -> Tree:
    """Return all values of a recipe, those of its bases included.

    Raises:
        UserError: See `lineage`; or a null for a param that no base sets.
    """
    values: Tree = {}
    for recipe in lineage(name):
        values = override(values, recipe.values, str(path_of(recipe.name)))
    return values


def override(values: Tree, newer: Tree, where: str) -> Tree:
    """Merge `newer` over the values of a base; null resets a value of the base.

    Raises:
        UserError: A null for each param that `values` lacks; `where` names the file or option.
    """
    problems: list[str] = []
    merged = merge(values, newer, problems)
    if problems:
        raise UserError(
            f"{where}: {key} is null, but no base sets it; write a value" for key in problems
        )
    return merged


def changes(name: str) -> dict[str, Any]:
    """Return the values that differ from the base's, by dotted key; None: reset."""
    *older, recipe = lineage(name)
    before = flatten(resolve(older[-1].name)) if older else {}
    own = flatten(recipe.values).items()
    return {key: value for key, value in own if key not in before or before[key] != value}
