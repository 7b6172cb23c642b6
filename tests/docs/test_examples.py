"""The code examples of the documents run."""

import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from pages import blocks, name
from synthetic import REPO
from torch.nn import functional as F

CONTRIBUTING = REPO / "CONTRIBUTING.md"
PYTHON_API = [REPO / "README.md", REPO / "docs/python_api.md"]


@pytest.mark.parametrize("path", PYTHON_API, ids=name)
def test_python_examples_predict_a_demo_photo(path, make_bundle, capsys):
    bundle = make_bundle()
    shutil.copytree(bundle, "models/bundle")
    shutil.copy(next((REPO / "data/demo/eval/images").glob("*.jpg")), "portrait.jpg")
    (code,) = blocks(path, "python")
    exec(code, {})
    assert re.search(r"(male|female)", capsys.readouterr().out)


def test_the_example_of_a_loss_can_be_declared_and_called(monkeypatch):
    from portrait18.core import loss_params
    from portrait18.models import losses

    monkeypatch.setattr(losses.LOSSES, "_entries", dict(losses.LOSSES._entries))
    declared, registered = blocks(CONTRIBUTING, "python")
    namespace = dict(vars(loss_params))
    exec(declared, namespace)
    (example,) = re.findall(r"`loss: (\{name: brier.*?\})`", CONTRIBUTING.read_text())
    values = yaml.safe_load(example)
    assert namespace["BrierLoss"].model_validate(values).name == values["name"]

    exec(registered, dict(vars(losses)))
    outputs = torch.randn(5, 3)
    targets = F.one_hot(torch.tensor([0, 1, 2, 1, 0]), 3).float()
    value = losses.LOSSES[values["name"]](outputs, targets, None, None)
    expected = F.mse_loss(outputs.softmax(1), targets, reduction="none").sum(1)
    torch.testing.assert_close(value, expected)


def test_the_recipe_example_is_a_recipe_of_the_repository():
    examples = [yaml.safe_load(code) for code in blocks(REPO / "docs/experiments.md", "yaml")]
    (example,) = [data for data in examples if "base" in data]
    recipes = [yaml.safe_load(path.read_text()) for path in Path(REPO / "recipes").glob("*.yaml")]
    assert example in recipes
