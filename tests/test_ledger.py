"""The ledger of runs, and what a run keeps of an experiment."""

import re
from dataclasses import replace

import pytest

from portrait18.core.errors import UserError
from recipes import chain, ledger, runs, table

RUN = runs.Run(
    "base", "0", "", "base-s0-1", "abc", "", 10.0, "2026-01-01T00:00:00Z", "data/bench", 1199, 239, 2100,
    0.5, 0.55, 0.4, 0.99, 0.92, 0.6,
)  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the recipes base <- mixup <- both, base <- aside, and idle."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    heads = {
        "base": "",
        "mixup": "# from: base\n",
        "both": "# from: mixup\n",
        "aside": "# from: base\n",
        "idle": "",
    }
    for name, parent in heads.items():
        (tmp_path / f"recipes/{name}.txt").write_text(
            f"# {name}: tries {name}. More.\n{parent}x={name}|y\n"
        )
    return tmp_path


def of(recipe, seed="0", at=0, **changes):
    digest = runs.digest(chain.resolve(recipe).values())
    done = f"2026-01-02T00:00:{at:02}Z" if at is not None else ""
    return replace(
        RUN, **{"recipe": recipe, "seed": seed, "overrides": digest, "finished": done, **changes}
    )


def cells(page):
    """Name -> the cells of its row, in the order of the page."""
    found = [line for line in page.splitlines() if line.startswith("| ")][1:]
    parts = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]
    return {re.sub(r"\[|\]\(.*?\)", "", row[0]): row[1:] for row in parts}


def test_parents_come_before_their_children(project):
    page = table.render([of(name) for name in ("both", "mixup", "aside", "base")])
    assert list(cells(page)) == ["base", "· aside", "· mixup", "· · both"]
    assert "- idle: tries idle." in page.split("## Not run here")[1]
    assert "base" not in page.split("## Not run here")[1]
    assert (
        "`data/bench`, 1,199 people to train on (239 of them held out), 2,100 photos to label"
        in page
    )


def test_a_row_says_what_changed_and_what_it_scored(project):
    found = cells(table.render([of("base"), of("mixup", eval_macro_f1=0.4126)]))
    assert found["base"][:2] == ["–", "tries base. (overrides: 1)"]
    row = found["· mixup"]
    assert row[:2] == ["base", r"tries mixup. `x=mixup\|y`"]
    assert row[2:] == ["0", "0.500", "0.413", "0.990", "0.920", "0.600", "+0.013", "10.0"]


def test_seeds_give_mean_spread_and_a_difference_seed_by_seed(project):
    told = [of("base", str(s), eval_macro_f1=0.40 + 0.01 * s, minutes=10) for s in (0, 1, 2)]
    told += [
        of("mixup", str(s), eval_macro_f1=f, minutes=m) for s, f, m in ((2, 0.46, 5), (1, 0.42, 8))
    ]
    found = cells(table.render(told))
    assert found["base"][2] == "0 1 2"
    assert found["base"][4] == "0.410 ± 0.010 (0.400..0.420)"
    mixup = found["· mixup"]
    assert mixup[2] == "1 2"
    assert mixup[4] == "0.440 ± 0.020 (0.420..0.460)"
    assert mixup[8] == "+0.025 ± 0.015 (+0.010..+0.040)"
    assert mixup[9] == "6.5"


def test_without_a_common_seed_the_means_are_compared(project):
    told = [
        of("base", "0", eval_macro_f1=0.4),
        of("base", "1", eval_macro_f1=0.5),
        of("mixup", "2", eval_macro_f1=0.41),
    ]
    assert cells(table.render(told))["· mixup"][8] == "-0.040"


def test_the_later_run_counts(project):
    told = [of("base", at=5, eval_macro_f1=0.45), of("base", at=3, eval_macro_f1=0.4)]
    assert cells(table.render(told))["base"][4] == "0.450"


def test_pieces_of_a_stopped_run_and_a_run_out_of_the_cache_add_up(project):
    told = [
        of("base", at=None, minutes=30.0, eval_macro_f1=None),
        of("base", at=1, minutes=12.0),
        of("base", at=2, minutes=0.2),
    ]
    told += [
        of("base", "1", at=1, minutes=40.0, eval_macro_f1=0.3),
        of("base", "1", at=2, minutes=20.0),
    ]
    assert (
        cells(table.render(told))["base"][9] == "31.1"
    )  # mean of 30 + 12 + 0.2 and of 20: 40 gave another figure


def test_runs_before_a_change_of_the_recipe_or_the_data_do_not_count(project):
    old, grown = of("base", "1", at=1, overrides="old"), of("base", "2", at=1, people=1000)
    assert cells(table.render([old, grown, of("base", "0", at=2)]))["base"][2] == "0"
    changed = table.render([of("base", overrides="old")])
    assert "changed after this run" in changed
    assert "changed after this run" not in table.render([of("base")])


def test_other_data_or_overrides_beside_the_recipe_are_not_compared(project):
    told = [of("base"), of("mixup", also="x=1", at=1), of("aside", data="data/other")]
    found = cells(table.render(told))
    assert found["· mixup with `x=1`"][8] == "–"
    assert found["· aside"][8] == "–"
    assert cells(table.render([*told, of("base", also="x=1")]))["· mixup with `x=1`"][8] == "+0.000"


def test_seeds_averaged_in_one_run_are_a_row_of_their_own(project):
    found = table.render([of("base"), of("base", "1"), of("base", "0+1", eval_macro_f1=0.5)])
    assert [line.split(" | ")[3] for line in found.splitlines() if line.startswith("| [base]")] == [
        "0 1",
        "0+1",
    ]


def test_no_answers_a_missing_parent_and_a_recipe_that_is_gone(project):
    told = [of("both", eval_macro_f1=None, eval_mask_accuracy=None), replace(RUN, recipe="gone")]
    found = cells(table.render(told))
    assert found["· · both"][4:6] == ["–", "–"]
    assert found["· · both"][8] == "–"
    assert found["gone"][:2] == ["–", "its file is no longer in recipes/"]
    assert "- base:" in table.render(told)


def test_unfinished_runs_alone_make_no_row(project):
    assert cells(table.render([of("base", at=None)])) == {}
    assert "no run yet" in table.render([])


def test_all_unreadable_recipes_are_named_at_once(project):
    (project / "recipes/aside.txt").write_text("# from: nobody\nx=1\n")
    (project / "recipes/idle.txt").write_text("x 1\n")
    with pytest.raises(UserError) as caught:
        table.render([])
    assert len(caught.value.problems) == 2


def test_runs_are_read_as_they_were_written(project):
    assert runs.read() == []
    stopped = runs.Run("base", "0+1", "a='x, y'; b=[1,2]", "e", "abc+", "00000001", 1.5, "")
    runs.append(stopped)
    runs.append(RUN)
    assert runs.read() == [stopped, RUN]
    assert [p.name for p in (project / "reports").iterdir()] == ["runs.csv"]


def test_bad_numbers_are_all_named(project):
    runs.append(RUN)
    runs.append(RUN)
    runs.FILE.write_text(runs.FILE.read_text().replace("1199", "many"))
    with pytest.raises(UserError) as caught:
        runs.read()
    assert [p.split(":")[0] for p in caught.value.problems] == [
        "reports/runs.csv line 2",
        "reports/runs.csv line 3",
    ]


def test_digest_tells_overrides_but_not_seeds_or_order(project):
    a, b, seeds = (chain.override(line, "") for line in ("a=1", "++b=2", "matrix.seeds=[1]"))
    assert runs.digest([a, b]) == runs.digest([b, a, seeds]) != runs.digest([a])


def test_main_writes_the_ledger(project, capsys):
    runs.append(of("base"))
    ledger.main(["table"])
    assert (project / "reports/ledger.md").read_text() == table.render([of("base")])
    with pytest.raises(SystemExit) as ended:
        ledger.main(["run", "bas"])
    error = capsys.readouterr().err
    assert ended.value.code == 1
    assert error.count("\n") == 1
    assert "did you mean base?" in error
    assert "aside, base, both, idle, mixup" in error


def shown(metrics):
    data = {"params": {"params.yaml": {"data": {"data": {"root": "data/x"}}}}, "metrics": metrics}
    kept = {"name": "base-s0-1", "revs": [{"name": "base-s0-1", "data": data}]}
    other = {"name": "failed", "revs": None}
    return [{"rev": "workspace", "experiments": None}, {"rev": "abc", "experiments": [other, kept]}]


def test_figures_come_from_the_named_experiment():
    metrics = {
        "reports/metrics.json": {"data": {"macro_f1": 0.1, "people": 7, "age": {"macro_f1": 0.2}}},
        "reports/score.json": {
            "data": {"macro_f1": 0.3, "mask": {"macro_f1": 0.8, "accuracy": 0.9}}
        },
        "reports/check.json": {"data": {"train": {"people": 36}, "eval": {"photos": 84}}},
    }
    assert ledger.figures(shown(metrics), "base-s0-1") == {
        "data": "data/x",
        "people": 36,
        "validation_people": 7,
        "eval_photos": 84,
        "validation_macro_f1": 0.1,
        "validation_age_macro_f1": 0.2,
        "eval_macro_f1": 0.3,
        "eval_mask_accuracy": 0.9,
        "eval_gender_accuracy": None,
        "eval_age_macro_f1": None,
    }
    assert (
        ledger.figures(shown({"reports/score.json": {"data": {}}}), "base-s0-1")["eval_macro_f1"]
        is None
    )
    with pytest.raises(UserError, match="base-s1-1"):
        ledger.figures(shown(metrics), "base-s1-1")
