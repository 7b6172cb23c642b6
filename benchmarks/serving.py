"""Rows of the server: photos of many clients answered together, its start, and a load that must lose nothing.

Needs a bundle, models/bundle or `--bundle FOLDER`. The server is `portrait18 serve` on loopback, the clients are
threads of this process, each with a connection of its own, and send a photo a request as fast as they are answered.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from benchmarks import inputs
from benchmarks.paired import Turn
from benchmarks.rows import Bench, Outcome, Row, at_least, at_most, named
from benchmarks.side import REPO, NotMeasured
from portrait18.deployment import bundle

CLIENTS, MANY_CLIENTS, MANY = 16, 32, 1000
ALONE = ("--batch", "1", "--wait-ms", "0")
_BOUNDARY = "portrait18"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


class Load(NamedTuple):
    """What came of a number of requests."""

    seconds: np.ndarray  # that each answered request took
    lost: int  # refused, broken off, or answered with anything but one photo
    wall: float  # seconds from the first request to the last answer


def body(photo: bytes) -> bytes:
    """A form with one photo."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="photo"\r\n\r\n'
    )
    return head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


def load(address: str, bodies: list[bytes], requests: int, clients: int) -> Load:
    """Send requests from so many clients at a time."""
    host = urlsplit(address).netloc

    def client(number: int) -> list[float | None]:
        connection = http.client.HTTPConnection(host, timeout=60)
        took: list[float | None] = []
        for i in range(number, requests, clients):
            since = time.perf_counter()
            try:
                connection.request("POST", "/predict", bodies[i % len(bodies)], _HEADERS)
                reply = connection.getresponse()
                whole = reply.read()
                answered = reply.status == 200 and whole.count(b'"faces":') == 1
            except (OSError, http.client.HTTPException):
                connection.close()
                answered = False
            took.append(time.perf_counter() - since if answered else None)
        connection.close()
        return took

    since = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        took = [t for of_client in pool.map(client, range(clients)) for t in of_client]
    seconds = np.array([t for t in took if t is not None])
    return Load(seconds, len(took) - len(seconds), time.perf_counter() - since)


class Served(NamedTuple):
    """A running server, the seconds from its start to its first answer, and how many networks it holds."""

    address: str
    started: float
    networks: int


@contextmanager
def server(bench: Bench, *flags: str) -> Iterator[Served]:
    """`portrait18 serve` on a free port.

    Raises:
        NotMeasured: there is no bundle, or the server did not start.
    """
    if not (bench.bundle / bundle.MANIFEST).exists():
        raise NotMeasured(
            f"{bench.bundle} holds no bundle; make demo makes the demo's, --bundle FOLDER names another"
        )
    command = [
        sys.executable,
        "-m",
        "portrait18",
        "serve",
        "--port",
        "0",
        "--bundle",
        str(bench.bundle),
        *flags,
    ]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if bench.device == "cpu" else {}
    how = {"cwd": REPO, "env": {**os.environ, **hidden}, "stdout": subprocess.PIPE, "text": True}
    since = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log, **how) as run:
        too_late = threading.Timer(60 * bench.minutes, run.kill)
        too_late.start()
        try:
            line = run.stdout.readline()
            if not line:
                log.seek(0)
                last = (log.read().splitlines() or [f"no answer within {bench.minutes:g} minutes"])[
                    -1
                ]
                raise NotMeasured(f"the server did not start: {last}")
            address = line.split()[0]
            health = _health(address)
            started = time.perf_counter() - since
            too_late.cancel()
            yield Served(address, started, health["networks"])
        finally:
            too_late.cancel()
            run.terminate()


def _health(address: str) -> dict:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("GET", "/health")  # it listens already: this waits until it answers
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException) as error:
        raise NotMeasured(f"the server ended before its first answer: {error}") from None
    finally:
        connection.close()


def _bodies(bench: Bench, count: int) -> list[bytes]:
    return [
        body(Path(path).read_bytes())
        for path in inputs.paths(inputs.photos(bench, min(count, bench.photos)))
    ]


def _turn(address: str, bodies: list[bytes], requests: int, clients: int) -> Turn:
    told = load(address, bodies, requests, clients)
    if not len(told.seconds):
        raise NotMeasured(f"none of {requests} requests was answered")
    return Turn(told.wall, len(told.seconds), {"seconds": told.seconds, "lost": told.lost})


def _figures(turns: list[Turn]) -> dict:
    half, most = np.percentile(np.concatenate([turn.facts["seconds"] for turn in turns]), (50, 99))
    rate = sum(turn.photos for turn in turns) / sum(turn.seconds for turn in turns)
    return {
        "requests_a_second": float(f"{rate:.3g}"),
        "p50_seconds": round(float(half), 3),
        "p99_seconds": round(float(most), 3),
        "lost": sum(turn.facts["lost"] for turn in turns),
    }


def together(bench: Bench, count: int) -> Outcome:
    bodies = _bodies(bench, count)
    with server(bench) as ours, server(bench, *ALONE) as theirs:
        pair = bench.compare(
            lambda: _turn(ours.address, bodies, count, CLIENTS),
            lambda: _turn(theirs.address, bodies, count, CLIENTS),
        )
    figures = {"together": _figures(pair.ours), "one_at_a_time": _figures(pair.theirs)}
    none_lost = not any(side["lost"] for side in figures.values())
    return Outcome(
        pair.ratios, count, {"clients": CLIENTS, "networks": ours.networks}, figures, none_lost
    )


def start(bench: Bench, count: int) -> Outcome:
    values, began = [], time.monotonic()
    for n in range(-1, bench.rounds):
        if n > 0 and time.monotonic() - began > 60 * bench.minutes:
            break
        with server(bench) as served:
            pass
        if n >= 0:  # the first reads all files from the disk
            values.append(served.started)
            bench.tell(f"round {n + 1} of {bench.rounds}: {served.started:.1f} s")
    return Outcome(values, count, {"networks": served.networks})


def many(bench: Bench, count: int) -> Outcome:
    bodies, turns, began = _bodies(bench, count), [], time.monotonic()
    with server(bench) as served:
        for n in range(bench.rounds):
            if n and (time.monotonic() - began) * (n + 1) / n > 60 * bench.minutes:
                break
            turns.append(_turn(served.address, bodies, count, MANY_CLIENTS))
            bench.tell(f"round {n + 1} of {bench.rounds}: {turns[-1].facts['lost']} lost")
    lost = [turn.facts["lost"] for turn in turns]
    return Outcome(
        lost, count, {"clients": MANY_CLIENTS, "networks": served.networks}, _figures(turns)
    )


ROWS = [
    Row(
        "serving",
        f"`portrait18 serve`: photos of {CLIENTS} clients worked on together, requests a second",
        f"itself, one photo at a time (`{' '.join(ALONE)}`)",
        "x",
        {"cpu": at_least(2), "cuda": at_least(2)},
        together,
        share=(0.625, 4),
    ),
    Row(
        "serving-start",
        "`portrait18 serve`: from its start to its first answer, to `/health`",
        named("uvicorn", "torch"),
        "s",
        {"cpu": at_most(20), "cuda": at_most(20)},
        start,
        share=(0, 0),
    ),
    Row(
        "serving-load",
        f"`portrait18 serve`: lost of {MANY:,} photos, {MANY_CLIENTS} at a time",
        named("uvicorn", "torch"),
        "",
        {"cpu": at_most(0), "cuda": at_most(0)},
        many,
        share=(MANY / 256, MANY / 256),
    ),
]
