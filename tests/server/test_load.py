"""The serving benchmark counts all responses, and its rows report what was measured."""

import time
from contextlib import contextmanager

import pytest
from fake import FakePredictor, png, serving
from synthetic import REPO

from benchmarks import serving as rows
from benchmarks.rows import Bench
from benchmarks.serving import Served, body, load
from benchmarks.side import NotMeasured
from portrait18.core import params


def test_every_request_counts_as_answered_or_lost():
    predictor = FakePredictor()
    with serving(predictor, max_photos=1) as address:
        result = load(address, [body(png(red)) for red in range(3)], requests=100, clients=8)
        assert (len(result.seconds), result.lost) == (100, 0)
        assert sum(predictor.batches) == 100
        assert max(predictor.batches) > 1  # photos shared a batch
        assert 0 < result.seconds.max() <= result.wall
        result = load(address, [body(png()), body(b"text")], requests=10, clients=2)
        assert (len(result.seconds), result.lost) == (5, 5)
    result = load(address, [body(png())], requests=4, clients=2)
    assert (len(result.seconds), result.lost) == (0, 4)


def test_none_of_1000_requests_32_at_a_time_is_lost():
    with serving() as address:
        result = load(address, [body(png(red, 1)) for red in range(18)], requests=1000, clients=32)
    assert (len(result.seconds), result.lost) == (1000, 0)


class SlowPredictor(FakePredictor):
    """A batch takes as long as one photo."""

    def detect(self, photos):
        time.sleep(0.05)
        return super().detect(photos)


@pytest.fixture
def bench(tmp_path):
    return Bench(
        REPO / "data/demo", 8, 1, "cpu", 0, 1.0, tmp_path, params.load(REPO / "params.yaml")
    )


@pytest.fixture
def fake_server(monkeypatch):
    """Measure rows with a server in this process."""

    @contextmanager
    def server(bench, *flags):
        settings = dict(
            zip((flag[2:].replace("-", "_") for flag in flags[::2]), flags[1::2], strict=True)
        )
        with serving(SlowPredictor(), **settings) as address:
            yield Served(address, 1.5, 3)

    monkeypatch.setattr(rows, "server", server)


def test_batching_at_least_doubles_the_throughput_of_16_clients(bench, fake_server):
    outcome = rows.together(bench, 64)
    assert outcome.values[0] >= 2
    assert outcome.sound
    assert outcome.facts == {"clients": 16, "networks": 3}
    ours, theirs = (outcome.figures[side] for side in ("together", "one_at_a_time"))
    assert ours["lost"] == theirs["lost"] == 0
    assert theirs["requests_a_second"] <= 20
    assert 0.05 <= ours["p50_seconds"] <= ours["p99_seconds"] < theirs["p99_seconds"]


def test_lost_photos_are_counted_and_invalidate_a_comparison(bench, fake_server, monkeypatch):
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


def test_startup_is_timed_in_every_round_but_the_first(bench, fake_server):
    assert rows.start(Bench(**{**vars(bench), "rounds": 3}), 0).values == [1.5] * 3


def test_a_bundles_server_is_started_and_stopped(bench, make_bundle):
    with rows.server(Bench(**{**vars(bench), "bundle": make_bundle().resolve()})) as served:
        assert served.networks == 5
        assert 0 < served.started < 60
        assert load(served.address, [body(png())], requests=2, clients=1).lost == 0
    assert load(served.address, [body(png())], requests=1, clients=1).lost == 1


def test_a_missing_or_corrupt_bundle_is_not_measured(bench, tmp_path):
    none = Bench(**{**vars(bench), "bundle": tmp_path / "none"})
    with pytest.raises(
        NotMeasured, match="none holds no bundle; make demo makes the demo's, --bundle FOLDER names"
    ):
        rows.start(none, 0)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/bundle.json").write_text("{}")
    with pytest.raises(NotMeasured, match=r"the server did not start: error: .*bundle\.json"):
        rows.start(none, 0)
