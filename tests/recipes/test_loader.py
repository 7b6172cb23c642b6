"""Recipes that build on other recipes."""

import pytest

from portrait18.core.errors import UserError
from recipes import loader
from recipes.values import flatten


def values(name):
    return flatten(loader.resolve(name))


def test_the_values_of_a_recipe_replace_those_of_its_bases(recipe):
    recipe("c", {"x": 3, "new": 1}, "b")
    recipe("b", {"x": 2, "y": 2}, "a")
    recipe("a", {"x": 1, "y": 1, "z": 1})
    assert [r.name for r in loader.lineage("c")] == ["a", "b", "c"]
    assert values("c") == {"x": 3, "y": 2, "z": 1, "new": 1}
    assert values("a") == {"x": 1, "y": 1, "z": 1}
    assert loader.changes("c") == {"x": 3, "new": 1}
    assert loader.changes("a") == {"x": 1, "y": 1, "z": 1}


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        ({"k": 1}, {"k": 2}, {"k": 2}),
        ({"k": {"a": 1}}, {"k.b": 2}, {"k.a": 1, "k.b": 2}),
        ({"k.a": 1, "k.b": 1}, {"k": {"a": None}}, {"k.b": 1}),
        ({"k.a": 1, "x": 1}, {"k.a": None}, {"x": 1}),
        ({"k.a": 1, "x": 1}, {"k": None}, {"x": 1}),
        ({"k": {"name": "f", "a": 1}}, {"k.a": 2}, {"k": {"name": "f", "a": 2}}),
        ({"k": {"name": "f", "a": 1}}, {"k.name": "f", "k.a": 2}, {"k": {"name": "f", "a": 2}}),
        ({"k": {"name": "f", "a": 1}}, {"k": {"name": "g", "b": 2}}, {"k": {"name": "g", "b": 2}}),
        ({"k": {"name": "f", "a": 1}}, {"k": "none"}, {"k": "none"}),
        ({"k": "none"}, {"k": {"name": "f", "a": 1}}, {"k": {"name": "f", "a": 1}}),
        ({"k": [1, 2]}, {"k": [3]}, {"k": [3]}),
    ],
)  # fmt: skip
def test_merging_with_a_base(recipe, base, own, expected):
    recipe("a", base)
    recipe("b", own, "a")
    assert values("b") == expected


def test_null_takes_back_a_value_of_the_base_and_is_refused_elsewhere(recipe):
    recipe("a", {"k": 1, "x": 1})
    recipe("b", {"k": None}, "a")
    recipe("c", {"k": None, "data": {"root": None}}, "b")
    assert values("b") == {"x": 1}
    assert loader.changes("b") == {"k": None}
    with pytest.raises(UserError) as caught:
        loader.resolve("c")
    assert caught.value.problems == [
        f"recipes/c.yaml: {key} is null, but no base sets it; write a value"
        for key in ("data.root", "k")
    ]


def test_changes_leave_out_what_the_base_has_too(recipe):
    recipe("a", {"k": 1, "x": 1, "y": [1.0, 0.9]})
    recipe("b", {"k": None, "x": 1, "y": [1.0, 0.8]}, "a")
    assert loader.changes("b") == {"k": None, "y": [1.0, 0.8]}


@pytest.mark.parametrize("circle", ["a", "ab", "abc"])
def test_a_circle_is_refused_in_one_line(recipe, circle):
    for name, base in zip(circle, circle[1:] + circle[0], strict=True):
        recipe(name, {name: 1}, base)
    with pytest.raises(UserError, match="circle") as caught:
        loader.resolve("a")
    assert len(caught.value.problems) == 1
    assert " -> ".join([*circle, "a"]) in str(caught.value)


def test_an_unknown_recipe_lists_the_known_ones(recipe):
    recipe("bench-cpu", {"x": 1})
    recipe("other", {"x": 1}, "bench-gpu")
    with pytest.raises(
        UserError, match=r"recipes/bench-cp\.yaml .*did you mean bench-cpu\?.*bench-cpu, other"
    ):
        loader.resolve("bench-cp")
    with pytest.raises(UserError, match=r"other\.yaml: base 'bench-gpu'.*bench-cpu, other"):
        loader.resolve("other")
    with pytest.raises(UserError, match=r"no recipe named; .*NAME=\.\.\., one of bench-cpu, other"):
        loader.resolve("")
    for outside in ("../other", "recipes/other"):
        with pytest.raises(UserError, match="does not exist"):
            loader.resolve(outside)


def test_all_faults_of_a_file_are_listed_together(recipe):
    recipe(
        "a",
        """
        about: ''
        bases: b
        set:
          k.a: 1
          k: {a: 2}
          'not a key': 1
          1: 2
          day: 2020-01-01
          list: [1, {1: a}]
          empty: {}
        """,
    )
    with pytest.raises(UserError) as caught:
        loader.read("a")
    problems = caught.value.problems
    assert all(line.startswith("recipes/a.yaml: ") for line in problems)
    for line, part in zip(
        problems,
        (
            "bases is not a key of a recipe; did you mean base?",
            "about = ''",
            "k.a is set twice",
            "not a key is not a param's name",
            "1 is not a param's name",
            "day = datetime.date(2020, 1, 1) must be text",
            "list = [1, {1: 'a'}] must be",
            "empty is an empty mapping",
        ),
        strict=True,
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping with the keys about, base, set"),
        ("- a", "must be a mapping"),
        ("about: a: b", "is not valid YAML"),
        ("about: A.\nset: {x: 1}\nset: {y: 1}", "set is there twice; keep one"),
        ("about: A.\nset: {x: 2020-13-45}", "is not valid YAML"),
        ("about: A.\nset: [x=1]", "set = ['x=1'] must map params to values"),
        ("about: A.", "set = None must map"),
        ("about: A.\nset: {}", "set = {} must map"),
        ("about: A.\nbase: [b]\nset: {x: 1}", "base = ['b'] must be the name of a recipe"),
    ],
)
def test_a_malformed_file_gives_one_line(recipe, text, message):
    recipe("a", text)
    with pytest.raises(UserError) as caught:
        loader.read("a")
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("about", "summary"),
    [
        ("One thing. And another.", "One thing."),
        ("|\n  At .5 and\n  1,199 people: more.\n  Rest.", "At .5 and 1,199 people: more."),
        ("|\n  no end\n\n  Tries this.", "no end"),
    ],
)  # fmt: skip
def test_the_summary_is_the_first_sentence(recipe, about, summary):
    recipe("a", f"about: {about}\nset: {{x: 1}}\n")
    assert loader.read("a").summary == summary
