"""The README's diagram shows the stages of dvc.yaml and their real dependencies."""

import itertools
import re

import yaml
from pages import blocks
from synthetic import REPO

STAGES = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
(DIAGRAM,) = blocks(REPO / "README.md", "mermaid")


def edges() -> list[tuple[str, str]]:
    pairs = []
    for line in DIAGRAM.splitlines()[1:]:
        nodes = [re.match(r"\s*(\w+)", part)[1] for part in re.split(r"-->|-\.->", line)]
        pairs += itertools.pairwise(nodes)
    return pairs


def paths(stage: str, kinds: tuple[str, ...]) -> list[str]:
    """Return the stage's paths up to the first variable."""
    entry = STAGES[stage].get("do", STAGES[stage])
    listed = [path for kind in kinds for path in entry.get(kind, [])]
    names = [next(iter(path)) if isinstance(path, dict) else path for path in listed]
    return [name.split("${")[0] for name in names if not name.startswith("${")]


def test_every_stage_is_in_the_diagram():
    shown = {node for edge in edges() for node in edge}
    assert set(STAGES) <= shown
    assert shown - set(STAGES) == {"photos", "submission", "bundle"}


def test_every_arrow_between_stages_is_a_dependency():
    for before, after in edges():
        if before in STAGES and after in STAGES:
            outs, deps = paths(before, ("outs", "metrics")), paths(after, ("deps",))
            related = any(
                out.startswith(dep) or dep.startswith(out) for out in outs for dep in deps
            )
            assert related, f"{before} --> {after}"
