"""Values reach params.yaml through DVC's -S as they stand in the recipe."""

import pytest
import yaml
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from recipes import hydra
from recipes.values import merge


def set_params(path, params, values):
    """Return params.yaml after `dvc exp run -S ...`, without running DVC."""
    path.write_text(yaml.safe_dump(params))
    [sweep] = get_hydra_sweeps({"params.yaml": hydra.overrides(values, params)})
    apply_overrides(path, sweep["params.yaml"])
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    "value",
    [
        *(1, -2, 0.0005, True, False, [], [1.0, 0.92], ["mask", "age-class"], ["a b", "a,'b'"]),
        *([{}], [{}, {"flip": True}, {"x": -0.05, "scale": 1.1}]),
        *("none", "mask", "x/y.z-1", "a+b", "FILE.safetensors@abc", "data/my photos", "", " a "),
        *("a,b", "'", "it's", '"q"', "\\", "a\\", "a\\'", "\\\\'x", "a=b", "a:b", "~a", "$HOME #1"),
        *("null", "True", "1e-5", "5", "-1", "1_000", "inf", "[1,2]", "{a:1}", "choice(1,2)"),
        *("${HOME}", "\\${x}", "ü é", "a\tb", "a*b", "{", "$"),
    ],
)
def test_a_value_arrives_unchanged(tmp_path, value):
    got = set_params(tmp_path / "params.yaml", {"a": {"k": 1}}, {"a": {"k": value}})["a"]["k"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("old", ["none", {"name": "f", "a": 1}, {"name": "g", "b": 1, "c": 1}])
@pytest.mark.parametrize("new", ["none", {"name": "f", "a": 2}, {"name": "g", "b": 2}, {"a": 2}])
def test_a_variant_is_merged_or_replaced_as_in_params(tmp_path, old, new):
    params, values = (
        {"m": {"loss": old, "lr": 1}, "o": {}},
        {"m": {"loss": new}, "o": {"loss": new}},
    )
    assert set_params(tmp_path / "params.yaml", params, values) == merge(params, values)
