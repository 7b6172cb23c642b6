"""What the README shows is there, and its example of a loss works."""

import re

import pytest
import torch
import yaml
from synthetic import REPO
from tiny import model_params
from torch.nn import functional as F

from portrait18.models import losses, targets

README = (REPO / "README.md").read_text()


def test_every_link_leads_to_a_file_of_the_repository():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (REPO / link).exists()] == []


def test_every_make_target_exists():
    named = set(re.findall(r"(?:`|^)make ([\w-]+)", README, re.MULTILINE))
    known = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "recipe"} <= named <= known


def test_every_module_that_is_run_exists():
    for module in set(re.findall(r"python -m ([\w.]+)", README)):
        path = REPO / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_params_that_are_named_exist():
    raw = yaml.safe_load((REPO / "params.yaml").read_text())
    for dotted in re.findall(
        r"`((?:data|label|split|crop|matrix|pseudo_label|group|ensemble|predict)\.\w+)", README
    ):
        section, key = dotted.split(".")
        assert key in raw[section], dotted


def test_the_example_of_a_loss_is_all_it_takes(monkeypatch):
    monkeypatch.setattr(losses, "LOSSES", dict(losses.LOSSES))
    (code,) = re.findall(r"```python\n(@loss.*?)```", README, re.DOTALL)
    exec(code, vars(losses).copy())
    params = model_params(loss="squared")
    outputs, told = torch.randn(5, 3), F.one_hot(torch.tensor([0, 1, 2, 1, 0]), 3).float()
    value = losses.make(params, targets.make(params))(
        outputs, told, losses.Context(torch.ones(3), 0.0)
    )
    expected = F.mse_loss(outputs.softmax(1), told, reduction="none").sum(1)
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("line", re.findall(r"^\| `([^`]+/)`", README, re.MULTILINE))
def test_folders_that_come_out_are_outs_of_a_stage(line):
    assert re.search(rf"- {line.rstrip('/')}(/|:|$)", (REPO / "dvc.yaml").read_text(), re.MULTILINE)
