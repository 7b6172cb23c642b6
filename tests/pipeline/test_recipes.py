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
def test_a_recipe_sets_no_model_or_backbone_that_it_does_not_use(name):
    raw, values = yaml.safe_load((REPO / "params.yaml").read_text()), loader.resolve(name)
    p = params.parse(merge(raw, values))
    assert loader.read(name).values.get("train", {}).keys() <= {"common", *p.train}
    used = {part for model in p.matrix.frozen for part in p.train[model].backbone.split("+")}
    assert set(p.features.backbones) == used


def test_the_recipes_of_fine_tuned_networks_do_not_depend_on_the_defaults_of_frozen_ones():
    """Their rows of the ledger must stay comparable when a default changes."""
    for name in ("small", "bench-finetuned", "original-team"):
        values = loader.resolve(name)
        assert values["split"]["folds"] == 1
        assert values["matrix"] | {"frozen": [], "folds": [0]} == values["matrix"]
        assert values["crop"] | {"image_size": 128, "align": "eyes"} == values["crop"]
        assert values["ensemble"]["decision"] in ("argmax", "offsets")
        group = values.get("group", {"by": "none"})
        assert group["by"] == "none" or group["weights"] in ("equal", "by_mask")


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
