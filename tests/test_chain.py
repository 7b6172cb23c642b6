"""Recipes that start from other recipes."""

import pytest

from portrait18.core.errors import UserError
from recipes import chain


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """recipe(name, *lines) writes a recipe of a made-up project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    return lambda name, *lines: (tmp_path / f"recipes/{name}.txt").write_text(
        "\n".join(lines) + "\n"
    )


def lines(name):
    return [str(o) for o in chain.resolve(name).values()]


def test_a_chain_begins_with_the_oldest_and_the_youngest_wins(recipe):
    recipe("c", "# C.", "# from: b", "x=3", "new=1")
    recipe("b", "# from: a", "# B.", "x=2", "y=2")
    recipe("a", "# A.", "x=1", "y=1", "z=1")
    assert [r.name for r in chain.lineage("c")] == ["a", "b", "c"]
    assert lines("c") == ["z=1", "y=2", "x=3", "new=1"]
    assert lines("a") == ["x=1", "y=1", "z=1"]
    assert chain.changes("c") == ["x=3", "new=1"]
    assert chain.changes("a") == ["x=1", "y=1", "z=1"]


@pytest.mark.parametrize(
    ("older", "newer", "left"),
    [
        ("k=1", "++k=2", ["++k=2"]),
        ("++k=1", "++k=2", ["++k=2"]),
        (
            "++k=1",
            "k=2",
            ["++k=2"],
        ),  # params.yaml may not have k: without ++ DVC would refuse the line
        ("+k=1", "k=2", ["+k=2"]),
        ("k=1", "~k", ["~k"]),
        ("++k=1", "~k", []),
        ("~k", "k=2", ["k=2"]),
        ("~k", "+k=2", ["++k=2"]),
        ("k=1", "kk=2", ["k=1", "kk=2"]),
        ("k.a=1", "k={}", ["k.a=1", "k={}"]),
    ],
)
def test_a_key_is_one_key_whatever_stands_before_it(recipe, older, newer, left):
    recipe("a", older)
    recipe("b", "# from: a", newer)
    assert lines("b") == left


def test_changes_leave_out_what_the_parent_has_too_and_name_what_is_taken_back(recipe):
    recipe("a", "++k=1", "x=1", "y=[1.0, 0.9]")
    recipe("b", "# from: a", "~k", "x=1", "y=[1.0, 0.8]")
    assert chain.changes("b") == ["y=[1.0, 0.8]", "~k"]


@pytest.mark.parametrize(
    "value",
    [
        "[mask,gender]",
        "[1.0, 0.9]",
        "'two words'",
        "two words",
        "a=b",
        "",
        '{a: "x y"}',
        "$HOME #1",
    ],
)
def test_a_value_stays_as_it_is_written(recipe, value):
    recipe("a", f"++train.age-class.x={value}")
    assert chain.resolve("a") == {"train.age-class.x": ("++", "train.age-class.x", value)}


@pytest.mark.parametrize("circle", ["a", "ab", "abc"])
def test_a_circle_is_refused_in_one_line(recipe, circle):
    for name, parent in zip(circle, circle[1:] + circle[0], strict=True):
        recipe(name, f"# from: {parent}", f"{name}=1")
    with pytest.raises(UserError, match="circle") as caught:
        chain.resolve("a")
    assert len(caught.value.problems) == 1
    assert " -> ".join([*circle, "a"]) in str(caught.value)


def test_an_unknown_recipe_lists_the_known_ones(recipe):
    recipe("bench-cpu", "x=1")
    recipe("other", "# from: bench-gpu", "x=1")
    with pytest.raises(
        UserError, match=r"recipes/bench-cp\.txt .*did you mean bench-cpu\?.*bench-cpu, other"
    ):
        chain.resolve("bench-cp")
    with pytest.raises(UserError, match=r"recipes/other\.txt: from: 'bench-gpu'.*bench-cpu, other"):
        chain.resolve("other")
    with pytest.raises(
        UserError, match=r"no recipe is named; make recipe NAME=\.\.\., one of bench-cpu, other"
    ):
        chain.resolve("")
    for outside in ("../other", "recipes/other"):
        with pytest.raises(UserError, match="does not exist"):
            chain.resolve(outside)


def test_all_bad_lines_of_a_file_are_named_at_once(recipe):
    recipe("a", "# from: b", "# from: c", "x 1", "~x=1", "y", "z=1", "", "++z=2")
    with pytest.raises(UserError) as caught:
        chain.read("a")
    problems = caught.value.problems
    assert [p.split(":")[0] for p in problems] == [
        *(f"recipes/a.txt line {n}" for n in (3, 4, 5, 8)),
        "recipes/a.txt",
    ]
    assert "'x 1'" in problems[0]
    assert "z is set twice" in problems[3]
    assert "b, c" in problems[4]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (["# a: one thing. And", "# another."], "one thing."),
        (
            ["# from: b", "#", "# Less of .5 and", "# 1,199 people: more.", "# Rest."],
            "Less of .5 and 1,199 people: more.",
        ),
        (["# no end", "#", "# Tries this."], "no end"),
        ([], ""),
    ],
)
def test_the_first_sentence_of_the_head(recipe, head, says):
    recipe("b", "x=1")
    recipe("a", *head, "x=2")
    assert chain.read("a").says == says
