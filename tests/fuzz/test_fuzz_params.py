"""Any value at any key of params.yaml gives typed params, or lines that each name the key."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from effort import tries
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel
from synthetic import REPO

from portrait18.core import params
from portrait18.core.errors import UserError

RAW = yaml.safe_load((REPO / "params.yaml").read_text())
TEXTS = [
    "1e-05",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "7",
    " 3 ",
    "1_0",
    "0x10",
    "true",
    "no",
    "",
    "../../x",
    "a\nb",
    "\x1b[0m",
    "٣",
]
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([2**63, 2**64, -(10**30), 10**400, 1e308, 5e-324, -0.0])
)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | st.sampled_from(TEXTS) | st.text(max_size=5) | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | SCALARS, inner, max_size=3)
    ),
    max_leaves=6,
)


def keys(section: dict, above: tuple = ()) -> list[tuple]:
    """Every key of a section and of those in it, as a path."""
    found = []
    for key, value in section.items():
        found += [(*above, key), *(keys(value, (*above, key)) if isinstance(value, dict) else [])]
    return found


KEYS = keys(RAW)
#: Sections and keys of a single number.
SINGLE = [
    (section, key)
    for section, field in params.Params.model_fields.items()
    if section not in ("launch", "train")
    for key, inner in field.annotation.model_fields.items()
    if inner.annotation in (int, float)
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("params") / "params.yaml"


def load(path: Path, raw: object) -> params.Params | None:
    """The params, or None if they are rejected with lines that name the file."""
    return checked(lambda: params.parse(raw, path))


def load_file(path: Path) -> params.Params | None:
    return checked(lambda: params.load(path))


def checked(read: Callable[[], params.Params]) -> params.Params | None:
    load.lines = []
    try:
        loaded = read()
    except UserError as error:
        load.lines, loaded = error.problems, None
    assert all(p.isprintable() and "params.yaml" in p and len(p) < 2000 for p in load.lines)
    assert bool(loaded) != bool(load.lines)
    assert_finite(loaded)
    return loaded


def assert_finite(value: object) -> None:
    """No number is infinite, NaN, or too large for NumPy."""
    if isinstance(value, BaseModel):
        value = [getattr(value, key) for key in type(value).model_fields]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            assert_finite(item)
    elif isinstance(value, int | float):
        assert math.isfinite(value)
        assert isinstance(value, float) or abs(value) < 2**63


def changed(key: tuple, value: object) -> dict:
    raw = copy.deepcopy(RAW)
    section = raw
    for part in key[:-1]:
        section = section[part]
    section[key[-1]] = value
    return raw


@tries(400)
@given(st.sampled_from(KEYS), VALUES)
@example(("split", "seed"), True)
@example(("split", "seed"), 2**63)
@example(("check", "max_pixels"), 16**4000)
@example(("label", "drop_ages"), [57, True])
@example(("train", "mask", "epochs"), "1" * 30)
@example(("features", "backbones"), ["no_such_network"])
def test_any_value_at_any_key_is_accepted_or_its_key_is_named(path, key, value):
    if load(path, changed(key, value)) is None:
        shown = key[-2] if key[-1] == "name" else key[-1]  # `loss: x` is short for its name
        assert any(str(shown) in line for line in load.lines)


@tries(100)
@given(st.sampled_from(KEYS), st.text(max_size=5) | SCALARS, VALUES)
def test_any_key_anywhere_is_accepted_or_rejected(path, near, key, value):
    load(path, changed((*near[:-1], key), value))


@tries(50)
@given(VALUES)
def test_any_other_content_is_rejected(path, raw):
    assert load(path, raw) is None


@tries(150)
@given(
    st.sampled_from(SINGLE),
    st.integers(0, 60) | st.floats(0, 1),
    st.sampled_from([str, repr, "{:e}".format, " {} ".format]),
)
def test_a_number_written_as_text_is_the_same_number(path, key, number, write):
    as_number, as_text = (load(path, changed(key, value)) for value in (number, write(number)))
    assert (as_number is None) == (as_text is None) or write not in (str, repr)
    if as_number and as_text:
        section, name = key
        one, other = (getattr(getattr(loaded, section), name) for loaded in (as_number, as_text))
        assert type(one) is type(other)
        assert one == (other if write in (str, repr) else pytest.approx(other, rel=1e-5))


@tries(40)
@given(st.data())
def test_a_file_with_stray_characters_is_read_or_rejected(path, data):
    text = (REPO / "params.yaml").read_text().split("\n  # One section per model.")[0]
    at = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(
        st.text(max_size=4)
        | st.sampled_from(["\t", ": ", "- ", "*a", "&a", "!!bool x", "{", "'", "\0", "%", "? "])
    )
    path.write_bytes(
        (text[:at] + junk + text[at + data.draw(st.integers(0, 3)) :]).encode("utf-8", "replace")
    )
    load_file(path)


@pytest.mark.parametrize(
    "seed",
    [
        "2020-13-45",
        "!!timestamp x",
        "!!bool x",
        "!!int x",
        "!!float x",
        "9" * 5000,
        "[" * 2000 + "]" * 2000,
        "&a [*a]",
        "0x" + "f" * 4000,
        "*none",
        "!!python/object:os.system x",
        '"\\ud800"',
        "yes",
        "on",
    ],
)
def test_odd_yaml_is_rejected_in_lines(path, seed):
    path.write_text((REPO / "params.yaml").read_text().replace("seed: 18 ", f"seed: {seed} ", 1))
    assert load_file(path) is None


def test_aliases_of_billions_of_values_give_short_lines(path):
    laughs = "x0: &x0 [1, 1]\n" + "".join(
        f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    path.write_text(
        laughs + (REPO / "params.yaml").read_text().replace("seed: 18 ", "seed: *x11 ", 1)
    )
    assert load_file(path) is None
    assert any("split.seed" in line for line in load.lines)


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", "..", "", "a b", "a\nb", "-x", "x" * 200, "é", "/tmp/x", "a.b", "a@b"],
)
def test_a_model_name_that_is_not_a_file_name_is_rejected(path, name):
    raw = changed(("train", name), {"task": "mask", "target": "classes", "lr": 0.1, "epochs": 1})
    raw["matrix"]["models"] = [*RAW["matrix"]["models"], name]
    assert load(path, raw) is None
    assert len(load.lines) == 1
    assert "may contain only letters, digits, - and _" in load.lines[0]
