"""The benchmark's arithmetic, its file, table and command, and the processes that it measures."""

import ast
import json
import os

import pytest
import torch
from synthetic import REPO

from benchmarks import (
    crop,
    growth,
    inputs,
    paired,
    pipeline,
    report,
    run,
)
from benchmarks.paired import Turn
from benchmarks.rows import Bench, Outcome, Row, at_least, at_most
from benchmarks.side import NotMeasured, Side
from portrait18.core import params
from portrait18.core.errors import UserError


@pytest.fixture
def bench(tmp_path):
    """What a run on eight photos of the demo was asked for."""
    return Bench(
        REPO / "data/demo", 8, 1, "cpu", 0, 1.0, tmp_path, params.load(REPO / "params.yaml")
    )


def turns(*seconds, photos=10):
    each = iter(seconds)
    return lambda: Turn(next(each), photos, {})


def test_sides_take_turns_and_the_first_of_each_does_not_count():
    order = []

    def side(name, *seconds):
        each = iter(seconds)
        return lambda: order.append(name) or Turn(next(each), 10, {})

    pair = paired.measure(side("a", 9, 1, 2), side("b", 1, 3, 8), rounds=2, seconds=60)
    assert order == list("ababab")
    assert pair.ratios == pytest.approx([3, 4])


def test_a_ratio_is_of_the_time_for_a_photo():
    pair = paired.measure(turns(2, photos=8), turns(2, photos=4), 1, 60, warm_up=0)
    assert pair.ratios == [2]


def test_rounds_end_when_there_is_no_time_for_one_more_but_one_is_always_measured():
    now = iter([0, 0, 40, 40, 80, 80])  # start, then the begin and end of each round
    pair = paired.measure(
        turns(1, 1), turns(2, 3), 5, seconds=100, warm_up=0, clock=lambda: next(now)
    )
    assert pair.ratios == pytest.approx([2, 3])
    slow = iter([0, 0, 500, 500, 1000, 1000])
    assert paired.measure(
        turns(1, 1), turns(9, 2), 5, 100, warm_up=1, clock=lambda: next(slow)
    ).ratios == [2]


def test_spread_is_the_median_and_the_ends():
    told = paired.spread([9.0, 1.0, 2.00004])
    assert (told["median"], told["lowest"], told["highest"], told["rounds"]) == (2.0, 1.0, 9.0, 3)
    assert told["each"] == [9.0, 1.0, 2.0]


def test_aims_say_which_way_is_good():
    assert at_least(8).reached(8)
    assert not at_least(8).reached(7.99)
    assert at_most(6).reached(6)
    assert not at_most(6).reached(6.01)
    assert (str(at_least(8)), str(at_most(0.95))) == (">= 8", "<= 0.95")


def test_the_furthest_corner_of_boxes():
    assert crop.furthest([[[0, 0, 5, 5]], []], [[[0, 1, 5, 4.5]], []]) == 1
    assert crop.furthest([[[0, 0, 5, 5]], []], [[], [[0, 0, 5, 5]]]) is None


@pytest.mark.parametrize("power", [1, 2])
def test_the_exponent_of_a_power_is_that_power(power):
    assert growth.exponent([1, 2, 4, 8], [3 * n**power for n in (1, 2, 4, 8)]) == pytest.approx(
        power
    )


def test_overhead_is_what_the_trainings_did_not_take():
    assert pipeline.overhead({"train": 80.0, "predict": 5.0}, total=100.0) == 25


def test_peers_know_nothing_of_this_project():
    tree = ast.parse((REPO / "benchmarks/peers.py").read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not [m for m in modules if m.split(".")[0] in ("portrait18", "benchmarks", "stages")]


ROW = Row(
    "idle", "doing nothing", "nothing 1.0", "x", {"cpu": at_least(2)}, lambda bench, count: None
)


@pytest.fixture
def written(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "FILE", tmp_path / "benchmarks.json")
    report.add(ROW, bench, Outcome([3.0, 2.5, 2.0], 8, {"networks": 15}, {"seconds": 1}))
    return json.loads(report.FILE.read_text())


def test_the_file_keeps_figures_apart_from_facts(written):
    row = written["cpu"]["rows"]["idle"]
    assert row["facts"] == {"networks": 15, "same_work": True}
    assert row["figures"]["median"] == 2.5
    assert row["figures"]["reached"]
    assert row["figures"]["seconds"] == 1
    assert (row["aim"], row["photos"], row["data"]) == (">= 2", 8, "demo")
    assert written["cpu"]["machine"]["torch"] == torch.__version__


def test_an_aim_is_not_reached_with_less_work(bench):
    quick = Outcome([9.0], 8, sound=False)
    assert report.entry(ROW, bench, quick)["figures"]["reached"] is False


def test_rows_are_added_to_those_of_the_same_machine_only(written, bench, monkeypatch):
    other = Row("other", "w", "b", "s", {"cpu": at_most(1)}, ROW.measure)
    both = report.add(other, bench, Outcome([2.0], 8))["cpu"]["rows"]
    assert set(both) == {"idle", "other"}
    assert not both["other"]["figures"]["reached"]
    monkeypatch.setattr(report, "machine", lambda bench: {"device": "another"})
    assert set(report.add(other, bench, Outcome([2.0], 8))["cpu"]["rows"]) == {"other"}


def test_the_table_says_what_was_measured_and_what_was_not(written, bench):
    assert (
        report.table([ROW], report.add(ROW, bench, Outcome([3.0], 0)))
        .splitlines()[2]
        .endswith("| **3x** | - | - |")
    )
    missing = Row("missing", "w", "b", "x", {"cpu": at_least(9), "cuda": at_least(9)}, ROW.measure)
    lines = report.table([ROW, missing], written).splitlines()
    assert (
        lines[2] == "| doing nothing | nothing 1.0 | >= 2x | **2.5x** (2 to 3, 8 photos) | - | - |"
    )
    assert lines[3] == "| w | b | >= 9x | not measured | >= 9x | not measured |"


def test_every_row_has_its_own_name_and_an_aim_for_each_device_that_it_is_for():
    assert len({row.name for row in run.ROWS}) == len(run.ROWS) == 25
    alone = {row.name: set(row.aims) for row in run.ROWS if set(row.aims) != {"cpu", "cuda"}}
    assert alone == {"with-graphs": {"cuda"}, "with-thread": {"cpu"}}


def test_a_row_of_another_device_is_left_out_unless_it_is_asked_for():
    names = [row.name for row in run._chosen([], "cpu")]
    assert "with-thread" in names
    assert "with-graphs" not in names
    with pytest.raises(
        UserError, match="with-graphs is for cuda alone; leave it out, or use --device cuda"
    ):
        run._chosen(["with-graphs", "detect"], "cpu")


def test_the_command_writes_rows_of_processes_and_goes_on_after_one_that_fails(
    tmp_path, monkeypatch, capsys
):
    def fails(bench, count):
        raise NotMeasured("no luck")

    def halves(bench, count):
        with bench.side("ours.decode", paths=inputs.paths(inputs.photos(bench, count))) as side:
            return Outcome([side.turn().seconds], count)

    rows = [Row("one", "a", "b", "x", {"cpu": at_least(2)}, measure) for measure in (fails, halves)]
    rows[1] = Row(**{**vars(rows[1]), "name": "two"})
    monkeypatch.setattr(run, "ROWS", rows)
    monkeypatch.setattr(report, "FILE", tmp_path / "benchmarks.json")
    monkeypatch.chdir(REPO)
    with pytest.raises(SystemExit):
        run.main(["--photos", "8", "--rounds", "1", "--device", "cpu", "--data", "data/demo"])
    assert set(json.loads(report.FILE.read_text())["cpu"]["rows"]) == {"two"}
    told = capsys.readouterr()
    assert "no luck" in told.err
    assert "run them again: python -m benchmarks.run one" in told.err
    assert "| a | b | >= 2x | **" in told.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["crop-lop"], "did you mean crop-loop?"),
        (["--photos", "1"], "--photos 1 must be 8 or more"),
        (["--minutes", "0"], "--minutes 0.0 must be more than 0"),
        (["--data", "nowhere"], "nowhere is no data set"),
    ],
)
def test_what_cannot_be_measured_is_said_before_any_work(words, told, capsys, monkeypatch):
    monkeypatch.chdir(REPO)
    with pytest.raises(SystemExit):
        run.main(words)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "told"), [("ours.nothing", "nothing"), ("ours.decode", "TypeError")]
)
def test_a_side_that_fails_says_why(function, told):
    with pytest.raises(NotMeasured, match=told), Side(function, "cpu", 300, wrong=1):
        pass


def test_a_side_that_takes_too_long_is_ended():
    side = Side("ours.decode", "cpu", 0.05, paths=[])
    with pytest.raises(NotMeasured, match="did not answer"), side:
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(side.process.pid, 0)
