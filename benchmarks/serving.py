"""Rows of the server: dynamic batching, start-up time, and a load in which no request may fail.

They need a trained ensemble in models/bundle or `--bundle FOLDER`. The server is `portrait18 serve`
on the loopback interface; the clients are threads of this process, see `load`.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from benchmarks import inputs
from benchmarks.load import form, send
from benchmarks.paired import Turn
from benchmarks.rows import Bench, Outcome, Row, at_least, at_most, versions
from benchmarks.side import REPO, MeasurementError, hide_gpu
from portrait18.deployment import bundle

CLIENTS, LOAD_CLIENTS, LOAD_REQUESTS = 16, 32, 1000
UNBATCHED = ("--batch", "1", "--wait-ms", "0")


class Served(NamedTuple):
    """A running server.

    Attributes:
        address: Its URL.
        start_seconds: Seconds from its start to its first response.
        networks: Number of networks of the ensemble.
    """

    address: str
    start_seconds: float
    networks: int


@contextmanager
def server(bench: Bench, *flags: str) -> Iterator[Served]:
    """Run `portrait18 serve` on a free port.

    Raises:
        MeasurementError: There is no bundle, or the server does not start.
    """
    if not (bench.bundle / bundle.MANIFEST).exists():
        raise MeasurementError(
            f"{bench.bundle} has no bundle; make the demo's with make demo, or choose another "
            "with --bundle FOLDER"
        )
    arguments = ["serve", "--port", "0", "--bundle", str(bench.bundle), *flags]
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "portrait18", *arguments],
            cwd=REPO,
            env={**os.environ, **hide_gpu(bench.device)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        timeout = threading.Timer(bench.seconds, process.kill)
        timeout.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                log.seek(0)
                lines = log.read().splitlines()
                reason = lines[-1] if lines else f"no response within {bench.minutes:g} minutes"
                raise MeasurementError(f"the server did not start: {reason}")
            address = line.split()[0]
            health = _health(address)
            start_seconds = time.perf_counter() - start
            timeout.cancel()
            yield Served(address, start_seconds, health["model"]["networks"])
        finally:
            timeout.cancel()
            process.terminate()


def _health(address: str) -> dict:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        # The server already listens; this waits for its first response.
        connection.request("GET", "/health")
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"the server ended before its first response: {error}") from None
    finally:
        connection.close()


def request_bodies(bench: Bench, count: int) -> list[bytes]:
    """Return the requests with the photos of the data set, at most `Bench.photos`."""
    paths = inputs.paths(inputs.photos(bench, min(count, bench.photos)))
    return [form(Path(path).read_bytes()) for path in paths]


def _turn(address: str, bodies: list[bytes], requests: int, clients: int) -> Turn:
    load = send(address, bodies, requests, clients)
    if not len(load.latencies):
        raise MeasurementError(f"none of {requests} requests succeeded")
    return Turn(
        load.seconds,
        len(load.latencies),
        {"latencies": load.latencies, "failed": load.failed},
    )


def _results(turns: list[Turn]) -> dict:
    latencies = np.concatenate([turn.facts["latencies"] for turn in turns])
    p50, p99 = np.percentile(latencies, (50, 99))
    rate = sum(turn.photos for turn in turns) / sum(turn.seconds for turn in turns)
    return {
        "requests_per_second": float(f"{rate:.3g}"),
        "p50_seconds": round(float(p50), 3),
        "p99_seconds": round(float(p99), 3),
        "failed": sum(turn.facts["failed"] for turn in turns),
    }


def batching(bench: Bench, count: int) -> Outcome:
    bodies = request_bodies(bench, count)
    with server(bench) as ours, server(bench, *UNBATCHED) as theirs:
        pair = bench.compare(
            lambda: _turn(ours.address, bodies, count, CLIENTS),
            lambda: _turn(theirs.address, bodies, count, CLIENTS),
        )
    results = {"batched": _results(pair.ours), "unbatched": _results(pair.theirs)}
    return Outcome(
        pair.ratios,
        count,
        {"clients": CLIENTS, "networks": ours.networks},
        results,
        same_work=not any(side["failed"] for side in results.values()),
    )


def start(bench: Bench, count: int) -> Outcome:
    with server(bench) as served:
        pass  # warm-up: reads all files from disk
    values = []
    for n in bench.each_round():
        with server(bench) as served:
            pass
        values.append(served.start_seconds)
        bench.log(f"round {n + 1} of {bench.rounds}: {served.start_seconds:.1f} s")
    return Outcome(values, count, {"networks": served.networks})


def full_load(bench: Bench, count: int) -> Outcome:
    bodies, turns = request_bodies(bench, count), []
    with server(bench) as served:
        for n in bench.each_round():
            turns.append(_turn(served.address, bodies, count, LOAD_CLIENTS))
            bench.log(f"round {n + 1} of {bench.rounds}: {turns[-1].facts['failed']} failed")
    failed = [turn.facts["failed"] for turn in turns]
    facts = {"clients": LOAD_CLIENTS, "networks": served.networks}
    return Outcome(failed, count, facts, _results(turns))


ROWS = [
    Row(
        "serving",
        f"`portrait18 serve`: requests per second of {CLIENTS} clients, batched",
        f"itself, one photo at a time (`{' '.join(UNBATCHED)}`)",
        "x",
        {"cpu": at_least(2), "cuda": at_least(2)},
        batching,
        share=(0.625, 4),
    ),
    Row(
        "serving-start",
        "`portrait18 serve`: time from start to the first response of `/health`",
        versions("uvicorn", "torch"),
        "s",
        {"cpu": at_most(20), "cuda": at_most(20)},
        start,
        share=(0, 0),
    ),
    Row(
        "serving-load",
        f"`portrait18 serve`: failed of {LOAD_REQUESTS:,} requests, {LOAD_CLIENTS} at a time",
        versions("uvicorn", "torch"),
        "",
        {"cpu": at_most(0), "cuda": at_most(0)},
        full_load,
        share=(LOAD_REQUESTS / 256, LOAD_REQUESTS / 256),
    ),
]
