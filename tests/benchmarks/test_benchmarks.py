"""The benchmark's arithmetic, file, table, command line, and the processes that it measures."""

import ast
import dataclasses
import itertools
import json
import os

import pytest
import torch
from synthetic import REPO

from benchmarks import crop, growth, inputs, paired, pipeline, report, run
from benchmarks.paired import Rounds, Turn
from benchmarks.rows import DEVICES, Bench, Outcome, Row, at_least, at_most
from benchmarks.side import MeasurementError, Side
from portrait18.core import params
from portrait18.core.errors import UserError


@pytest.fixture
def bench(tmp_path):
    """Return the settings of a run on eight photos of the demo."""
    return Bench(
        data=REPO / "data/demo",
        photos=8,
        rounds=1,
        device="cpu",
        num_workers=0,
        minutes=1.0,
        folder=tmp_path,
        params=params.load(REPO / "params.yaml"),
    )


def turns(*seconds, photos=10):
    """Return a side whose turns take these seconds."""
    each = iter(seconds)
    return lambda: Turn(next(each), photos, {})


def test_sides_alternate_and_the_first_turn_of_each_is_a_warm_up():
    order = []

    def side(name, *seconds):
        turn = turns(*seconds)
        return lambda: order.append(name) or turn()

    pair = paired.measure(side("a", 9, 1, 2), side("b", 1, 3, 8), Rounds(2, seconds=60))
    assert order == list("ababab")
    assert pair.ratios == pytest.approx([3, 4])


def test_a_ratio_compares_the_time_per_photo():
    pair = paired.measure(turns(2, photos=8), turns(2, photos=4), Rounds(1, 60, warm_up=0))
    assert pair.ratios == [2]


def test_rounds_stop_if_there_is_no_time_for_one_more():
    now = iter([0, 0, 40, 40, 80, 80])  # the start, then the start and end of each round
    pair = paired.measure(
        turns(1, 1), turns(2, 3), Rounds(5, seconds=100, warm_up=0), clock=lambda: next(now)
    )
    assert pair.ratios == pytest.approx([2, 3])


def test_the_first_round_is_always_measured():
    now = iter([0, 0, 500, 500, 1000, 1000])
    pair = paired.measure(turns(1, 1), turns(9, 2), Rounds(5, 100), clock=lambda: next(now))
    assert pair.ratios == [2]


def test_the_rounds_of_a_row_stop_at_its_time_limit(bench, monkeypatch):
    now = itertools.count(0, 25)  # seconds, at each look at the clock
    monkeypatch.setattr("benchmarks.rows.time.monotonic", lambda: next(now))
    many = Bench(**{**vars(bench), "rounds": 9})
    assert list(many.each_round()) == [0, 1]
    assert list(bench.each_round()) == [0]


def test_spread_has_the_median_the_extremes_and_each_round():
    result = paired.spread([9.0, 1.0, 2.00004])
    assert (result["median"], result["lowest"], result["highest"]) == (2.0, 1.0, 9.0)
    assert result["rounds"] == 3
    assert result["each"] == [9.0, 1.0, 2.0]


def test_goals_are_lower_or_upper_limits():
    assert at_least(8).reached(8)
    assert not at_least(8).reached(7.99)
    assert at_most(6).reached(6)
    assert not at_most(6).reached(6.01)
    assert (str(at_least(8)), str(at_most(0.95))) == (">= 8", "<= 0.95")


def test_boxes_differ_by_their_largest_coordinate_difference():
    assert crop.max_corner_difference([[[0, 0, 5, 5]], []], [[[0, 1, 5, 4.5]], []]) == 1
    assert crop.max_corner_difference([[[0, 0, 5, 5]], []], [[], [[0, 0, 5, 5]]]) is None


@pytest.mark.parametrize("power", [1, 2])
def test_the_exponent_of_a_power_law_is_its_power(power):
    seconds = [3 * n**power for n in (1, 2, 4, 8)]
    assert growth.exponent([1, 2, 4, 8], seconds) == pytest.approx(power)


def test_overhead_is_the_share_of_time_outside_the_trainings():
    assert pipeline.overhead({"train": 80.0, "predict": 5.0}, total=100.0) == 25


def test_peers_import_nothing_from_this_project():
    tree = ast.parse((REPO / "benchmarks/peers.py").read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not [m for m in modules if m.split(".")[0] in ("portrait18", "benchmarks", "stages")]


ROW = Row("idle", "doing nothing", "nothing 1.0", "x", {"cpu": at_least(2)}, lambda *args: None)


@pytest.fixture
def written(bench, tmp_path, monkeypatch):
    """Return the content of a report with one row."""
    monkeypatch.setattr(report, "FILE", tmp_path / "benchmarks.json")
    report.add(ROW, bench, Outcome([3.0, 2.5, 2.0], 8, {"networks": 15}, {"seconds": 1}))
    return json.loads(report.FILE.read_text())


def test_the_file_separates_results_from_facts(written):
    row = written["cpu"]["rows"]["idle"]
    assert row["facts"] == {"networks": 15, "same_work": True}
    assert row["results"]["median"] == 2.5
    assert row["results"]["reached"]
    assert row["results"]["seconds"] == 1
    assert (row["goal"], row["photos"], row["data"]) == (">= 2", 8, "demo")
    assert written["cpu"]["machine"]["torch"] == torch.__version__


def test_a_goal_is_not_reached_with_less_work(bench):
    outcome = Outcome([9.0], 8, same_work=False)
    assert report.entry(ROW, bench, outcome)["results"]["reached"] is False


def test_rows_of_another_machine_are_dropped(written, bench, monkeypatch):
    other = Row("other", "t", "p", "s", {"cpu": at_most(1)}, ROW.measure)
    both = report.add(other, bench, Outcome([2.0], 8))["cpu"]["rows"]
    assert set(both) == {"idle", "other"}
    assert not both["other"]["results"]["reached"]
    monkeypatch.setattr(report, "machine", lambda bench: {"device": "another"})
    assert set(report.add(other, bench, Outcome([2.0], 8))["cpu"]["rows"]) == {"other"}


def test_a_damaged_report_is_named(written):
    report.FILE.write_text("{")
    with pytest.raises(UserError, match="not valid JSON; restore"):
        report.read()


def test_the_table_shows_measured_and_missing_rows(written, bench):
    missing = Row("missing", "t", "p", "x", {"cpu": at_least(9), "cuda": at_least(9)}, ROW.measure)
    lines = report.table([ROW, missing], written).splitlines()
    assert (
        lines[2] == "| doing nothing | nothing 1.0 | >= 2x | **2.5x** (2 to 3, 8 photos) | - | - |"
    )
    assert lines[3] == "| t | p | >= 9x | not measured | >= 9x | not measured |"


def test_the_table_names_the_versions_that_were_measured(written):
    updated = dataclasses.replace(ROW, peer="nothing 2.0")
    assert "| nothing 1.0 |" in report.table([updated], written)


def test_the_table_omits_details_that_do_not_apply(written, bench):
    content = report.add(ROW, bench, Outcome([1.0], 0))
    cells = report.table([ROW], content).splitlines()[2]
    assert cells.endswith("| **1x**, goal missed | - | - |")


def test_rows_have_unique_names_and_goals_for_known_devices():
    names = [row.name for row in run.ROWS]
    assert len(set(names)) == len(names)
    assert all(row.goals and set(row.goals) <= set(DEVICES) for row in run.ROWS)


def test_rows_of_another_device_are_omitted_unless_they_are_requested():
    names = [row.name for row in run.select_rows([], "cpu")]
    assert "with-thread" in names
    assert "with-graphs" not in names
    with pytest.raises(
        UserError, match="with-graphs runs on cuda only; omit it or use --device cuda"
    ):
        run.select_rows(["with-graphs", "detect"], "cpu")


def test_the_command_saves_rows_and_continues_after_one_that_fails(tmp_path, monkeypatch, capsys):
    def fail(bench, count):
        raise MeasurementError("out of luck")

    def decode(bench, count):
        with bench.side("ours.decode", paths=inputs.paths(inputs.photos(bench, count))) as side:
            return Outcome([side.turn().seconds], count)

    rows = [
        Row(name, "t", "p", "x", {"cpu": at_least(2)}, measure)
        for name, measure in (("one", fail), ("two", decode))
    ]
    monkeypatch.setattr(run, "ROWS", rows)
    monkeypatch.setattr(report, "FILE", tmp_path / "benchmarks.json")
    monkeypatch.chdir(REPO)
    with pytest.raises(SystemExit):
        run.main(["--photos", "8", "--rounds", "1", "--device", "cpu", "--data", "data/demo"])
    assert set(json.loads(report.FILE.read_text())["cpu"]["rows"]) == {"two"}
    output = capsys.readouterr()
    assert "out of luck" in output.err
    assert "repeat with python -m benchmarks.run one" in output.err
    assert "| t | p | >= 2x | **" in output.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["crop-lop"], "did you mean crop-loop?"),
        (["--photos", "1"], "--photos 1 must be 8 or more"),
        (["--minutes", "0"], "--minutes 0.0 must be more than 0"),
        (["--data", "nowhere"], "nowhere is no data set"),
    ],
)
def test_invalid_arguments_fail_before_any_work(arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(REPO)
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "reason"), [("ours.nothing", "nothing"), ("ours.decode", "TypeError")]
)
def test_a_side_that_fails_reports_its_error(function, reason):
    with pytest.raises(MeasurementError, match=reason), Side(function, "cpu", 300, wrong=1):
        pass


def test_a_side_that_exceeds_its_time_limit_is_killed():
    side = Side("ours.decode", "cpu", 0.05, paths=[])
    with pytest.raises(MeasurementError, match=r"did not finish within 0\.00083"), side:
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(side.process.pid, 0)
