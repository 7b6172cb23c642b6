"""What is too much, takes too long or is given up ends, and leaves nothing held."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from standin import StandIn, metric, png, post, problem, serving, wait_until

from portrait18.dataset import photos
from portrait18.server.prediction import Answering
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry
from portrait18.server.uploads import Upload


def waiting(address: str) -> int:
    return httpx.get(f"{address}/health", timeout=30).json()["waiting"]


def test_beyond_the_queue_requests_are_sent_away_for_a_second():
    ensemble = StandIn()
    with serving(ensemble, queue=3, max_photos=3) as address, ThreadPoolExecutor(3) as pool:
        ensemble.gate.clear()
        first = pool.submit(post, address, png(), png())
        assert ensemble.started.wait(10)
        full = post(address, png(), png())
        assert full.status_code == 503
        assert full.headers["retry-after"] == "1"
        problem(full)
        last = pool.submit(post, address, png())
        ensemble.gate.set()
        assert first.result().status_code == last.result().status_code == 200
        assert (
            post(address, png(), png(), png()).status_code == 200
        )  # nobody is counted who has left
        assert waiting(address) == 0


@contextmanager
def unfinished(address: str, length: int) -> Iterator[socket.socket]:
    """A connection that says it will send so many bytes, and does not."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = (
            "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        )
        slow.sendall(f"{head}Content-Length: {length}\r\n\r\n--b\r\n".encode())
        yield slow


def test_what_takes_too_long_ends():
    ensemble = StandIn()
    with serving(ensemble, timeout_s=3) as address:
        ensemble.gate.clear()
        with unfinished(address, 1000) as slow:
            late = post(address, png())
            assert late.status_code == 504
            assert "3 s" in problem(late)["detail"]
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        ensemble.gate.set()
        assert post(address, png()).status_code == 200


def test_a_photo_that_is_still_decoded_keeps_its_place_after_its_request_has_ended(monkeypatch):
    began, end, decode = threading.Event(), threading.Event(), photos.decode

    def slow(data: bytes, max_pixels: int):
        began.set()
        assert end.wait(30)
        return decode(data, max_pixels)

    with serving(timeout_s=2, queue=1, max_photos=1) as address:
        monkeypatch.setattr(photos, "decode", slow)
        try:
            assert post(address, png()).status_code == 504
            assert began.is_set()
            assert waiting(address) == 1
            assert post(address, png()).status_code == 503
        finally:
            end.set()
        wait_until(lambda: waiting(address) == 0)
        assert post(address, png()).status_code == 200


def test_a_photo_that_is_still_decoded_keeps_its_pixels_and_one_that_waits_for_a_thread_does_not(
    monkeypatch,
):
    began, end, decoded = threading.Event(), threading.Event(), []

    def slow(data: bytes, max_pixels: int):
        decoded.append(data)
        began.set()
        assert end.wait(30)

    async def scenario():
        answering = Answering(StandIn(), Settings(), Telemetry())
        work = asyncio.create_task(answering([Upload(None, png())] * 50))
        await asyncio.to_thread(began.wait, 30)
        work.cancel()
        await asyncio.wait([work], timeout=0.2)
        ended = work.done()
        end.set()
        await asyncio.wait([work])
        await answering.close()
        return ended

    monkeypatch.setattr(photos, "decode", slow)
    assert asyncio.run(scenario()) is False
    assert len(decoded) <= 4


def test_beyond_the_bytes_of_all_requests_one_is_sent_away_for_a_second():
    large = png(width=100, height=100, kind="BMP")
    with serving(max_bytes=50_000, max_total_bytes=60_000) as address:
        with unfinished(address, 40_000):
            wait_until(lambda: waiting(address) == 1)
            full = post(address, large)
            assert full.status_code == 503
            assert full.headers["retry-after"] == "1"
            assert "too many bytes" in problem(full)["detail"]
            assert post(address, png()).status_code == 200
        wait_until(lambda: waiting(address) == 0)
        assert post(address, large).status_code == 200


def test_a_client_that_hangs_up_is_not_worked_for():
    ensemble = StandIn()
    with serving(ensemble, batch=1) as address:
        ensemble.gate.clear()
        with ThreadPoolExecutor(2) as pool:
            stays = pool.submit(post, address, png())
            assert ensemble.started.wait(10)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}/predict",
                    files={"photos": png(5)},
                    timeout=httpx.Timeout(30, read=2),
                )
            gone = 'portrait18_requests_total{method="POST",path="/predict",status="499"}'
            wait_until(lambda: metric(address, gone) == 1)
            wait_until(lambda: waiting(address) == 1)
            ensemble.gate.set()
            assert stays.result().status_code == 200
        assert ensemble.batches == [1]
