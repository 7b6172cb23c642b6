"""The load of the benchmark counts what comes back, and its rows say what they measured."""

import time
from contextlib import contextmanager

import pytest
from standin import StandIn, png, serving
from synthetic import REPO

from benchmarks import serving as rows
from benchmarks.rows import Bench
from benchmarks.serving import Served, body, load
from benchmarks.side import NotMeasured
from portrait18.core import params


def test_every_request_is_counted_as_answered_or_lost():
    ensemble = StandIn()
    with serving(ensemble, max_photos=1) as address:
        told = load(address, [body(png(red)) for red in range(3)], requests=100, clients=8)
        assert (len(told.seconds), told.lost) == (100, 0)
        assert sum(ensemble.batches) == 100
        assert max(ensemble.batches) > 1  # they came together
        assert 0 < told.seconds.max() <= told.wall
        told = load(address, [body(png()), body(b"text")], requests=10, clients=2)
        assert (len(told.seconds), told.lost) == (5, 5)
    told = load(address, [body(png())], requests=4, clients=2)
    assert (len(told.seconds), told.lost) == (0, 4)


def test_of_1000_requests_32_at_a_time_none_is_lost():
    with serving() as address:
        told = load(address, [body(png(red, 1)) for red in range(18)], requests=1000, clients=32)
    assert (len(told.seconds), told.lost) == (1000, 0)


class Costly(StandIn):
    """Takes as long for a batch as for one photo."""

    def detect(self, photos):
        time.sleep(0.05)
        return super().detect(photos)


@pytest.fixture
def bench(tmp_path):
    return Bench(
        REPO / "data/demo", 8, 1, "cpu", 0, 1.0, tmp_path, params.load(REPO / "params.yaml")
    )


@pytest.fixture
def stand_in(monkeypatch):
    """Rows are measured with a server in this process."""

    @contextmanager
    def server(bench, *flags):
        told = dict(
            zip((flag[2:].replace("-", "_") for flag in flags[::2]), flags[1::2], strict=True)
        )
        with serving(Costly(), **told) as address:
            yield Served(address, 1.5, 3)

    monkeypatch.setattr(rows, "server", server)


def test_photos_of_16_clients_are_answered_together_twice_as_fast_at_least(bench, stand_in):
    outcome = rows.together(bench, 64)
    assert outcome.values[0] >= 2
    assert outcome.sound
    assert outcome.facts == {"clients": 16, "networks": 3}
    ours, theirs = (outcome.figures[side] for side in ("together", "one_at_a_time"))
    assert ours["lost"] == theirs["lost"] == 0
    assert theirs["requests_a_second"] <= 20
    assert 0.05 <= ours["p50_seconds"] <= ours["p99_seconds"] < theirs["p99_seconds"]


def test_lost_photos_are_counted_and_make_a_comparison_unsound(bench, stand_in, monkeypatch):
    assert rows.many(bench, 40).values == [0]
    some = [body(png()), body(b"text")]
    monkeypatch.setattr(rows, "_bodies", lambda bench, count: some)
    outcome = rows.many(bench, 40)
    assert outcome.values == [20]
    assert outcome.figures["lost"] == 20
    assert not rows.together(bench, 32).sound
    monkeypatch.setattr(rows, "_bodies", lambda bench, count: some[1:])
    with pytest.raises(NotMeasured, match="none of 40 requests"):
        rows.many(bench, 40)


def test_the_start_is_timed_each_round_but_the_first(bench, stand_in):
    assert rows.start(Bench(**{**vars(bench), "rounds": 3}), 0).values == [1.5] * 3


def test_the_server_of_a_bundle_is_started_and_ended(bench, make_bundle):
    with rows.server(Bench(**{**vars(bench), "bundle": make_bundle().resolve()})) as served:
        assert served.networks == 5
        assert 0 < served.started < 60
        assert load(served.address, [body(png())], requests=2, clients=1).lost == 0
    assert load(served.address, [body(png())], requests=1, clients=1).lost == 1


def test_without_a_sound_bundle_nothing_is_measured(bench, tmp_path):
    none = Bench(**{**vars(bench), "bundle": tmp_path / "none"})
    with pytest.raises(
        NotMeasured, match="none holds no bundle; make demo makes the demo's, --bundle FOLDER names"
    ):
        rows.start(none, 0)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/bundle.json").write_text("{}")
    with pytest.raises(NotMeasured, match="the server did not start: error: .*bundle.json"):
        rows.start(none, 0)
