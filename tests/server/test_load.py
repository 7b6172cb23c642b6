"""The benchmark's load generator, and its rows of the server."""

import dataclasses
import time
from contextlib import contextmanager

import numpy as np
import pytest
from fake import FakePredictor, png, serving
from synthetic import REPO

from benchmarks import clients
from benchmarks import serving as rows
from benchmarks.load import Load, form, send
from benchmarks.rows import Bench
from benchmarks.serving import Served
from benchmarks.side import MeasurementError
from portrait18.core import params


def test_every_request_counts_as_successful_or_failed():
    predictor = FakePredictor()
    with serving(predictor, max_photos=1) as address:
        load = send(address, [form(png(red)) for red in range(3)], requests=100, clients=8)
        assert (len(load.latencies), load.failed) == (100, 0)
        assert sum(predictor.batches) == 100
        assert max(predictor.batches) > 1  # batched
        assert 0 < load.latencies.max() <= load.seconds
        load = send(address, [form(png()), form(b"text")], requests=10, clients=2)
        assert (len(load.latencies), load.failed) == (5, 5)
    load = send(address, [form(png())], requests=4, clients=2)
    assert (len(load.latencies), load.failed) == (0, 4)


def test_none_of_1000_requests_fails_with_32_at_a_time():
    with serving() as address:
        load = send(address, [form(png(red, 1)) for red in range(18)], requests=1000, clients=32)
    assert (len(load.latencies), load.failed) == (1000, 0)


def test_clients_that_are_refused_repeat_their_requests_if_they_may():
    with serving(SlowPredictor(), queue=1, max_photos=1) as address:
        once = send(address, [form(png())], requests=6, clients=3)
        assert once.failed > 0
        assert once.retries == 0
        load = send(address, [form(png())], requests=6, clients=3, tries=60)
    assert (len(load.latencies), load.failed) == (6, 0)
    assert load.retries > 0
    assert load.latencies.max() > 1  # includes the wait before a repetition


def test_one_two_and_four_times_the_clients_give_a_row_each():
    with serving() as address:
        levels = clients.measure(address, [form(png())], clients=2, requests=30)
    assert [level.clients for level in levels] == [2, 4, 8]
    assert [len(level.load.latencies) for level in levels] == [30] * 3
    header, _, *rows = clients.table(levels).splitlines()
    assert "| p50 | p99 |" in header
    assert [row.split(" | ")[4] for row in rows] == ["0 of 30"] * 3
    load = Load(np.arange(1, 101) / 100, failed=1, seconds=50.0, retries=7)
    cells = clients.Level(16, load).cells()
    assert cells == ["16", "2.0", "0.51 s", "0.99 s", "1 of 101", "7"]


class SlowPredictor(FakePredictor):
    """Take as long for a batch as for one photo."""

    def detect(self, photos):
        time.sleep(0.2)
        return super().detect(photos)


@pytest.fixture
def bench(tmp_path):
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


@pytest.fixture
def fake_server(monkeypatch):
    """Replace the server by one in this process."""

    @contextmanager
    def server(bench, *flags):
        names = [flag.removeprefix("--").replace("-", "_") for flag in flags[::2]]
        with serving(SlowPredictor(), **dict(zip(names, flags[1::2], strict=True))) as address:
            yield Served(address, 1.5, 3)

    monkeypatch.setattr(rows, "server", server)


def test_batching_16_clients_at_least_doubles_the_throughput(bench, fake_server):
    outcome = rows.batching(bench, 32)
    assert outcome.values[0] >= 2
    assert outcome.same_work
    assert outcome.facts == {"clients": 16, "networks": 3}
    ours, theirs = (outcome.results[side] for side in ("batched", "unbatched"))
    assert ours["failed"] == theirs["failed"] == 0
    assert theirs["requests_per_second"] <= 5
    assert 0.2 <= ours["p50_seconds"] <= ours["p99_seconds"] < theirs["p99_seconds"]


def test_failed_requests_are_counted_and_are_not_the_same_work(bench, fake_server, monkeypatch):
    assert rows.full_load(bench, 40).values == [0]
    bodies = [form(png()), form(b"text")]
    monkeypatch.setattr(rows, "request_bodies", lambda bench, count: bodies)
    outcome = rows.full_load(bench, 40)
    assert outcome.values == [20]
    assert outcome.results["failed"] == 20
    assert not rows.batching(bench, 32).same_work


def test_a_load_of_which_every_request_fails_is_an_error(bench, fake_server, monkeypatch):
    monkeypatch.setattr(rows, "request_bodies", lambda bench, count: [form(b"text")])
    with pytest.raises(MeasurementError, match="none of 40 requests"):
        rows.full_load(bench, 40)


def test_the_start_time_is_measured_in_each_round(bench, fake_server):
    assert rows.start(dataclasses.replace(bench, rounds=3), 0).values == [1.5] * 3


def test_the_server_of_a_bundle_is_started_and_stopped(bench, make_bundle):
    with rows.server(dataclasses.replace(bench, bundle=make_bundle().resolve())) as served:
        assert served.networks == 5
        assert 0 < served.start_seconds < 60
        assert send(served.address, [form(png())], requests=2, clients=1).failed == 0
    assert send(served.address, [form(png())], requests=1, clients=1).failed == 1


def test_without_a_valid_bundle_nothing_is_measured(bench, tmp_path):
    missing = dataclasses.replace(bench, bundle=tmp_path / "none")
    with pytest.raises(MeasurementError, match=r"none has no bundle; .* --bundle FOLDER"):
        rows.start(missing, 0)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/bundle.json").write_text("{}")
    with pytest.raises(MeasurementError, match=r"the server did not start: error: .*bundle.json"):
        rows.start(missing, 0)
