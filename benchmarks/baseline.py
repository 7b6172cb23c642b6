"""The params that benchmarks measure: three fine-tuned networks on one split.

They are those of params.yaml apart from the values below, so that rows measured before a change of
the default models stay comparable.
"""

from pathlib import Path

import yaml

from portrait18.core import params
from portrait18.core.params import Params
from recipes.values import merge

REPO = Path(__file__).resolve().parents[1]
MODELS = ["mask", "gender", "age-class"]
CHANGES = {
    "split": {"folds": 1},
    "crop": {"image_size": 128, "align": "eyes"},
    "features": {"backbones": []},
    "matrix": {"models": MODELS, "frozen": [], "folds": [0]},
    "ensemble": {"decision": "offsets"},
}


def raw() -> dict:
    """Return params.yaml with `CHANGES`, as YAML holds it."""
    return merge(yaml.safe_load((REPO / "params.yaml").read_text()), CHANGES)


def load() -> Params:
    """Return the validated params of `raw`."""
    return params.parse(raw())
