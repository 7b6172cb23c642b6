"""Every recipe names existing params with allowed values, and says at its head what it tries."""

import re
from pathlib import Path

import pytest
import yaml

from portrait18.core import params
from portrait18.training import loop
from recipes import chain

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.txt"))


@pytest.fixture(autouse=True)
def _in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_gives_valid_params(name, tmp_path):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for prefix, key, value in chain.resolve(name).values():
        *sections, last = key.split(".")
        section = raw
        for part in sections:
            section = section.setdefault(part, {}) if prefix.startswith("+") else section[part]
        assert prefix == "++" or (last in section) != (prefix == "+"), (
            f"{name}: {key} is not in params.yaml, write ++{key}"
        )
        if prefix == "~":
            del section[last]
        else:
            section[last] = yaml.safe_load(value)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    loaded = params.load(tmp_path / "params.yaml")
    loop.validate_models(loaded.models)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_head_says_what_it_is(name):
    recipe = chain.read(name)
    assert len(recipe.says) > 20
    assert recipe.says.endswith(".")
    if recipe.parent is None:
        head = (ROOT / f"recipes/{name}.txt").read_text()
        assert all(re.search(rf"^# {word}\b", head, re.MULTILINE) for word in ("Tries", "Cost"))
    else:
        assert chain.changes(name), f"{name} changes nothing against {recipe.parent}"
