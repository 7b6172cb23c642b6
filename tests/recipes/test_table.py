"""The page of the ledger."""

import re
from dataclasses import replace

import pytest

from portrait18.core.errors import UserError
from recipes import loader, results, table

RESULT = results.RecipeResult(
    *("base", "0", "", "base-s0-1", "abc", "", 10.0, "2026-01-01T00:00:00Z", "data/bench"),
    *(1199, 239, 2100, 0.5, 0.55, 0.4, 0.99, 0.92, 0.6),
)


@pytest.fixture
def project(recipe, tmp_path):
    """A folder with the recipes base <- mixup <- both, base <- other, and idle."""
    bases = {"base": None, "mixup": "base", "both": "mixup", "other": "base", "idle": None}
    for name, base in bases.items():
        recipe(name, {"x": f"{name}|y"}, base)
    return tmp_path


def result(recipe, seed="0", at=0, **changes):
    """A result that finished `at` seconds past midnight; None: it did not finish."""
    digest = results.digest(loader.resolve(recipe))
    finished = f"2026-01-02T00:00:{at:02}Z" if at is not None else ""
    fields = {"recipe": recipe, "seed": seed, "digest": digest, "finished": finished}
    return replace(RESULT, **{**fields, **changes})


def cells(page):
    """Name -> the cells of its row, in the order of the page."""
    lines = page.split("## Not run")[0].splitlines()
    found = [line for line in lines if line.startswith("| ")][1:]
    parts = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]
    return {re.sub(r"\[|\]\(.*?\)", "", row[0]): row[1:] for row in parts}


def test_a_base_comes_before_the_recipes_that_build_on_it(project):
    page = table.render([result(name) for name in ("both", "mixup", "other", "base")])
    assert list(cells(page)) == ["base", "· mixup", "· · both", "· other"]
    assert "| idle | Tries idle. |" in page.split("## Not run")[1]
    assert "base" not in page.split("## Not run")[1]
    assert (
        "- `data/bench`: 1,199 people in train/ (239 for validation), 2,100 evaluation photos"
        in page
    )


def test_a_row_shows_what_changed_and_the_scores(project):
    mixup = result("mixup", validation_macro_f1=0.48, eval_macro_f1=0.4126)
    found = cells(table.render([result("base"), mixup]))
    assert found["base"][:2] == ["-", "Tries base. (1 values)"]
    row = found["· mixup"]
    assert row[:2] == ["base", r"Tries mixup. `x: mixup\|y`"]
    assert row[2:8] == ["0", "0.480", "0.413", "0.990", "0.920", "0.600"]
    assert row[8:] == ["-0.020", "+0.013", "abc", "10.0"]


def test_several_seeds_give_mean_range_and_a_difference_by_seed(project):
    runs = [result("base", str(s), eval_macro_f1=0.40 + 0.01 * s, minutes=10) for s in (0, 1, 2)]
    runs += [
        result("mixup", str(s), eval_macro_f1=f, minutes=m)
        for s, f, m in ((2, 0.46, 5), (1, 0.42, 8))
    ]
    found = cells(table.render(runs))
    assert found["base"][2] == "0 1 2"
    assert found["base"][4] == "0.410 ± 0.010 (0.400..0.420)"
    mixup = found["· mixup"]
    assert mixup[2] == "1 2"
    assert mixup[4] == "0.440 ± 0.020 (0.420..0.460)"
    assert mixup[9] == "+0.025 ± 0.015 (+0.010..+0.040)"
    assert mixup[11] == "6.5"


def test_without_a_common_seed_the_means_are_compared(project):
    runs = [
        result("base", "0", eval_macro_f1=0.4),
        result("base", "1", eval_macro_f1=0.5),
        result("mixup", "2", eval_macro_f1=0.41),
    ]
    assert cells(table.render(runs))["· mixup"][9] == "-0.040"


def test_the_later_run_counts(project):
    runs = [result("base", at=5, eval_macro_f1=0.45), result("base", at=3, eval_macro_f1=0.4)]
    assert cells(table.render(runs))["base"][4] == "0.450"


def test_minutes_of_a_resumed_run_and_of_a_run_from_the_cache_add_up(project):
    runs = [
        result("base", at=None, minutes=30.0, eval_macro_f1=None),
        result("base", at=1, minutes=12.0),
        result("base", at=2, minutes=0.2),
    ]
    runs += [
        result("base", "1", at=1, minutes=40.0, eval_macro_f1=0.3),
        result("base", "1", at=2, minutes=20.0),
    ]
    # Mean of 30 + 12 + 0.2 and of 20; the run of 40 minutes has another score.
    assert cells(table.render(runs))["base"][11] == "31.1"


def test_runs_before_a_change_of_the_recipe_or_the_data_do_not_count(project):
    old = result("base", "1", at=1, digest="old")
    fewer = result("base", "2", at=1, people=1000)
    assert cells(table.render([old, fewer, result("base", "0", at=2)]))["base"][2] == "0"
    changed = table.render([result("base", digest="old")])
    assert "changed after this run" in changed
    assert "changed after this run" not in table.render([result("base")])


@pytest.mark.parametrize("old", ["base", "mixup"])
def test_runs_of_an_old_state_of_a_recipe_are_not_compared(project, old):
    runs = [
        result(name, digest="old") if name == old else result(name) for name in ("base", "mixup")
    ]
    assert cells(table.render(runs))["· mixup"][8:10] == ["-", "-"]


def test_a_row_names_each_commit_of_its_runs_once(project):
    runs = [result("base", seed, commit=c) for seed, c in (("0", "b"), ("1", "a"), ("2", "b"))]
    assert cells(table.render(runs))["base"][10] == "b a"


def test_runs_on_other_data_or_with_extra_overrides_are_not_compared(project):
    runs = [
        result("base"),
        result("mixup", extra_overrides="x=1", at=1),
        result("other", data="data/other"),
    ]
    found = cells(table.render(runs))
    assert found["· mixup with `x=1`"][9] == "-"
    assert found["· other"][9] == "-"
    runs.append(result("base", extra_overrides="x=1"))
    assert cells(table.render(runs))["· mixup with `x=1`"][9] == "+0.000"


def test_seeds_averaged_in_one_run_are_a_row_of_their_own(project):
    page = table.render([result("base"), result("base", "1"), result("base", "0+1")])
    lines = [line for line in page.splitlines() if line.startswith("| [base]")]
    assert [line.split(" | ")[3] for line in lines] == ["0 1", "0+1"]


def test_a_run_without_answers_an_unrun_base_and_a_deleted_recipe(project):
    unscored = result("both", eval_macro_f1=None, eval_mask_accuracy=None)
    runs = [unscored, replace(RESULT, recipe="gone")]
    found = cells(table.render(runs))
    assert found["· · both"][4:6] == ["-", "-"]
    assert found["· · both"][8:10] == ["-", "-"]
    found = cells(table.render([unscored, result("mixup")]))
    assert found["· · both"][8:10] == ["+0.000", "-"]
    assert cells(table.render(runs))["gone"][:2] == ["-", "no longer in recipes/"]
    assert "| base |" in table.render(runs)


def test_unfinished_runs_give_no_row(project):
    assert cells(table.render([result("base", at=None)])) == {}
    assert "no recipe was run" in table.render([])


def test_all_unreadable_recipes_are_listed_together(project, recipe):
    recipe("other", {"x": 1}, "nobody")
    recipe("idle", "x 1")
    with pytest.raises(UserError) as caught:
        table.render([])
    assert len(caught.value.problems) == 2
