"""A server that gets SIGTERM answers every request it accepted. Tests wait for events."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from fake import png, wait_until
from synthetic import REPO

from benchmarks.load import form

HERE = Path(__file__).parent
KIND = {"Content-Type": "multipart/form-data; boundary=portrait18"}


@contextmanager
def blocked_server(idle_seconds: float, *flags: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server process that predicts after `unblock(process)`, and its host with the port."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "blocked_server.py"), str(idle_seconds), *flags],
        env={**os.environ, "PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline().split("/")[2]
        finally:
            process.kill()


def unblock(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def ended(process: subprocess.Popen) -> list[dict]:
    """Wait for the end; assert that it was a clean one and return the log."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return [json.loads(line) for line in err.splitlines()]


def refuses(host: str) -> bool:
    name, port = host.split(":")
    try:
        socket.create_connection((name, int(port)), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def connect(host: str) -> http.client.HTTPConnection:
    """A connection that is kept alive after its first request."""
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/health")
    connection.getresponse().read()
    return connection


def predict(connection: http.client.HTTPConnection, red: int) -> tuple[int, str, int]:
    """Status, Connection header and predicted class of a request with one photo."""
    connection.request("POST", "/predict", form(png(red)), KIND)
    response = connection.getresponse()
    face = json.loads(response.read())["photos"][0]["faces"][0]
    return response.status, response.getheader("connection"), face["class"]


def test_requests_in_flight_half_sent_or_on_idle_connections_are_answered_after_sigterm():
    with (
        blocked_server(60, "--timeout-s", "120") as (process, host),
        ThreadPoolExecutor(41) as pool,
    ):
        connections = [connect(host) for _ in range(40)]
        idle = connect(host)
        responses = [pool.submit(predict, each, i) for i, each in enumerate(connections)]
        body = form(png(7))
        half = http.client.HTTPConnection(host, timeout=60)
        half.putrequest("POST", "/predict")
        for name, value in {**KIND, "Content-Length": str(len(body))}.items():
            half.putheader(name, value)
        half.endheaders(body[: len(body) // 2])
        wait_until(lambda: httpx.get(f"http://{host}/health").json()["waiting"] == 41)

        process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(host))
        late = pool.submit(predict, idle, 11)
        half.send(body[len(body) // 2 :])
        unblock(process)

        classes = [i % 18 for i in range(40)]
        assert [response.result() for response in responses] == [(200, "close", c) for c in classes]
        assert late.result() == (200, "close", 11)
        response = half.getresponse()
        assert (response.status, response.getheader("connection")) == (200, "close")
        log = ended(process)
    statuses = [line["status"] for line in log if line.get("path") == "/predict"]
    assert statuses == [200] * 42
    assert log[-1]["message"] == "stopped"


def test_clients_that_send_without_a_pause_lose_no_request_when_the_server_stops():
    busy = threading.Barrier(17)

    def send_until_refused(host: str) -> int:
        connection, answered = connect(host), 0
        while True:
            try:
                connection.connect() if connection.sock is None else None
            except ConnectionRefusedError:
                return answered
            assert predict(connection, answered)[0] == 200
            answered += 1
            if answered == 3:
                busy.wait(60)

    with blocked_server(1.0, "--queue", "64") as (process, host), ThreadPoolExecutor(16) as pool:
        unblock(process)
        clients = [pool.submit(send_until_refused, host) for _ in range(16)]
        busy.wait(60)
        process.send_signal(signal.SIGTERM)
        answered = sum(client.result() for client in clients)
        log = ended(process)
    statuses = [line["status"] for line in log if line.get("path") == "/predict"]
    assert statuses == [200] * answered
    assert answered >= 48
