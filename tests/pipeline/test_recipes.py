"""Every recipe names existing params with allowed values and describes itself."""

import re

import pytest
import yaml
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from synthetic import REPO

from portrait18.core import params
from portrait18.training import loop
from recipes import hydra, loader
from recipes.values import merge

RECIPES = sorted(path.stem for path in (REPO / "recipes").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_repository(monkeypatch):
    monkeypatch.chdir(REPO)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_valid_params_and_dvc_sets_them_all(name, tmp_path):
    text = (REPO / "params.yaml").read_text()
    raw, values = yaml.safe_load(text), loader.resolve(name)
    file = tmp_path / "params.yaml"
    file.write_text(text)
    [sweep] = get_hydra_sweeps({"params.yaml": hydra.overrides(values, raw)})
    apply_overrides(file, sweep["params.yaml"])
    assert yaml.safe_load(file.read_text()) == merge(raw, values)
    loaded = params.load(file)
    loop.validate_models(loaded.train)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_describes_itself(name):
    recipe = loader.read(name)
    assert len(recipe.summary) > 20
    assert recipe.summary.endswith(".")
    if recipe.base is None:
        words = ("Tries", "Cost", "Scores")
        assert all(re.search(rf"^{word}: ", recipe.about, re.MULTILINE) for word in words)
    else:
        assert loader.changes(name), f"{name} changes nothing compared with {recipe.base}"
