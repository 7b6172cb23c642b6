"""Requests that exceed a limit, time out or are cancelled end and release all they held."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from fake import FakePredictor, metric, png, post, problem, serving, wait_until

from portrait18.dataset import photos
from portrait18.server.service import PredictionService
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry
from portrait18.server.uploads import Upload


def waiting(address: str) -> int:
    return httpx.get(f"{address}/health", timeout=30).json()["waiting"]


def test_requests_above_the_queue_limit_get_a_503_with_retry_after():
    predictor = FakePredictor()
    with serving(predictor, queue=3, max_photos=3) as address, ThreadPoolExecutor(3) as pool:
        predictor.unblocked.clear()
        first = pool.submit(post, address, png(), png())
        assert predictor.started.wait(10)
        full = post(address, png(), png())
        assert full.status_code == 503
        assert full.headers["retry-after"] == "1"
        problem(full)
        last = pool.submit(post, address, png())
        predictor.unblocked.set()
        assert first.result().status_code == last.result().status_code == 200
        assert (
            post(address, png(), png(), png()).status_code == 200
        )  # finished requests no longer count
        assert waiting(address) == 0


@contextmanager
def unfinished(address: str, length: int) -> Iterator[socket.socket]:
    """A connection that announces this many bytes and never sends them."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        head = (
            "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        )
        slow.sendall(f"{head}Content-Length: {length}\r\n\r\n--b\r\n".encode())
        yield slow


def test_slow_uploads_and_slow_predictions_time_out():
    predictor = FakePredictor()
    with serving(predictor, upload_timeout_s=4, timeout_s=3) as address:
        predictor.unblocked.clear()
        with unfinished(address, 1000) as slow:
            late = post(address, png())
            assert late.status_code == 504
            assert "3 s" in problem(late)["detail"]
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        predictor.unblocked.set()
        assert post(address, png()).status_code == 200


def test_a_photo_still_being_decoded_counts_after_its_request_timed_out(monkeypatch):
    started, end, decode = threading.Event(), threading.Event(), photos.decode_photo

    def slow(data: bytes, max_pixels: int):
        started.set()
        assert end.wait(30)
        return decode(data, max_pixels)

    with serving(timeout_s=2, queue=1, max_photos=1) as address:
        monkeypatch.setattr(photos, "decode_photo", slow)
        try:
            assert post(address, png()).status_code == 504
            assert started.is_set()
            assert waiting(address) == 1
            assert post(address, png()).status_code == 503
        finally:
            end.set()
        wait_until(lambda: waiting(address) == 0)
        assert post(address, png()).status_code == 200


def test_after_a_cancellation_running_decodes_hold_their_pixels_and_queued_ones_are_dropped(
    monkeypatch,
):
    started, end, decoded = threading.Event(), threading.Event(), []

    def slow(data: bytes, max_pixels: int):
        decoded.append(data)
        started.set()
        assert end.wait(30)

    async def scenario():
        service = PredictionService(FakePredictor(), Settings(), Telemetry())
        work = asyncio.create_task(service.predict([Upload(None, png())] * 50))
        await asyncio.to_thread(started.wait, 30)
        work.cancel()
        await asyncio.wait([work], timeout=0.2)
        ended = work.done()
        end.set()
        await asyncio.wait([work])
        await service.close()
        return ended

    monkeypatch.setattr(photos, "decode_photo", slow)
    assert asyncio.run(scenario()) is False
    assert len(decoded) <= 4


def test_requests_above_the_total_bytes_get_a_503_with_retry_after():
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


def test_photos_of_a_disconnected_client_are_not_processed():
    predictor = FakePredictor()
    with serving(predictor, batch=1) as address:
        predictor.unblocked.clear()
        with ThreadPoolExecutor(2) as pool:
            stays = pool.submit(post, address, png())
            assert predictor.started.wait(10)
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}/predict",
                    files={"photos": png(5)},
                    timeout=httpx.Timeout(30, read=2),
                )
            disconnected = 'portrait18_requests_total{method="POST",path="/predict",status="499"}'
            wait_until(lambda: metric(address, disconnected) == 1)
            wait_until(lambda: waiting(address) == 1)
            predictor.unblocked.set()
            assert stays.result().status_code == 200
        assert predictor.batches == [1]
