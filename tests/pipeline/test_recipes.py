"""Every recipe names existing params with allowed values, and says at its head what it tries, costs and scored."""

from pathlib import Path

import pytest
import yaml

from portrait18 import params

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.txt"))


def overrides(recipe: Path) -> dict[str, object]:
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    return {key: yaml.safe_load(value) for key, value in (line.split("=", 1) for line in lines)}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_gives_valid_params(recipe, tmp_path):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in overrides(recipe).items():
        *sections, last = key.lstrip("+").split(".")
        section = raw
        for name in sections:
            section = section.setdefault(name, {}) if key.startswith("+") else section[name]
        assert key.startswith("++") or last in section, f"{recipe.name}: {key} is not in params.yaml, write ++{key}"
        section[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    loaded = params.load(tmp_path / "params.yaml")
    for model in loaded.matrix.models:
        loaded.model(model)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_head_says_what_it_tries_costs_and_scores(recipe):
    head = recipe.read_text()
    assert all(f"# {word}" in head for word in ("Tries", "Cost", "Scores"))
