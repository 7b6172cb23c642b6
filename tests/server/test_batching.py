import asyncio
import threading

import numpy as np
import pytest
from fake import FakePredictor

from portrait18.server.batching import Batcher
from portrait18.server.service import predict_batch
from portrait18.server.telemetry import Telemetry


class Doubler:
    """Doubles numbers in batches; blocks while `unblocked` is clear; raises on 13."""

    def __init__(self):
        self.batches, self.threads = [], set()
        self.unblocked, self.started = threading.Event(), threading.Event()
        self.unblocked.set()

    def __call__(self, numbers: list) -> list:
        self.batches.append(list(numbers))
        self.threads.add(threading.current_thread().name)
        self.started.set()
        assert self.unblocked.wait(10)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * n for n in numbers]


def run(scenario, process, max_size=4, max_wait=0.0):
    async def main():
        batcher = Batcher(process, max_size, max_wait, telemetry := Telemetry())
        batcher.start()
        try:
            return await scenario(batcher, telemetry)
        finally:
            process.unblocked.set()
            await batcher.close()
            assert not batcher.healthy

    return asyncio.run(asyncio.wait_for(main(), 20))


async def block(batcher, process) -> asyncio.Task:
    """Block the thread on the number 0."""
    process.unblocked.clear()
    first = asyncio.create_task(batcher([0]))
    await asyncio.to_thread(process.started.wait, 10)
    return first


def test_photos_that_arrive_during_a_batch_form_the_next_ones_in_order():
    process = Doubler()

    async def scenario(batcher, telemetry):
        first = await block(batcher, process)
        later = [asyncio.create_task(batcher(numbers)) for numbers in ([1, 2, 3], [4], [5, 6])]
        await asyncio.sleep(0.01)
        waiting = telemetry.registry.get_sample_value("portrait18_waiting_photos")
        process.unblocked.set()
        return waiting, await asyncio.gather(first, *later), telemetry.text().decode()

    waiting, results, text = run(scenario, process)
    assert results == [[0], [2, 4, 6], [8], [10, 12]]
    assert process.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert len(process.threads) == 1
    assert threading.current_thread().name not in process.threads
    assert waiting == 6
    assert "portrait18_batch_photos_count 3.0" in text
    assert "portrait18_batch_photos_sum 7.0" in text


def test_a_partial_batch_waits_for_more_photos():
    process = Doubler()

    async def scenario(batcher, _):
        async def late():
            await asyncio.sleep(0.02)
            return await batcher([2])

        return await asyncio.gather(batcher([1]), late())

    assert run(scenario, process, max_wait=1.5) == [[2], [4]]
    assert process.batches == [[1, 2]]


def test_a_full_batch_does_not_wait():
    async def scenario(batcher, _):
        return await batcher([3, 4, 5, 6])

    assert run(scenario, Doubler(), max_wait=600) == [6, 8, 10, 12]


def test_a_failing_photo_does_not_affect_the_others_of_its_batch():
    process = Doubler()

    async def scenario(batcher, _):
        first = await block(batcher, process)
        later = [asyncio.create_task(batcher(numbers)) for numbers in ([1, 2], [13])]
        await asyncio.sleep(0.01)
        process.unblocked.set()
        return await asyncio.gather(first, *later, return_exceptions=True), await batcher([7])

    (_, good, bad), after = run(scenario, process)
    assert good == [2, 4]
    assert after == [14]
    assert isinstance(bad, ValueError)


def test_photos_of_a_cancelled_request_are_not_processed():
    process = Doubler()

    async def scenario(batcher, telemetry):
        first = await block(batcher, process)
        cancelled, kept = (asyncio.create_task(batcher([n])) for n in (1, 2))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.sleep(0.01)
        process.unblocked.set()
        result = await kept
        await first
        return result, telemetry.registry.get_sample_value("portrait18_waiting_photos")

    assert run(scenario, process) == ([4], 0)
    assert process.batches == [[0], [2]]


def test_faces_are_returned_with_their_own_photo():
    predictor = FakePredictor()
    photos = [
        np.full((40, 30, 3), (red, 40 * faces, 0), np.uint8)
        for red, faces in ((5, 2), (7, 0), (17, 1))
    ]
    found = predict_batch(predictor, Telemetry(), photos)
    assert [[face.class_id for face in faces] for faces in found] == [[5, 5], [], [17]]
    assert found[0][0].box == (0, 10, 15, 20)
    assert found[0][1].box == (15, 10, 30, 20)
    assert predict_batch(predictor, Telemetry(), photos[1:2]) == [[]]


@pytest.mark.parametrize("max_size", [1, 3])
def test_no_batch_exceeds_the_maximum_size(max_size):
    process = Doubler()

    async def scenario(batcher, _):
        return await asyncio.gather(*(batcher([n, n + 1]) for n in range(0, 12, 2)))

    results = run(scenario, process, max_size=max_size)
    assert results == [[2 * n, 2 * n + 2] for n in range(0, 12, 2)]
    assert max(map(len, process.batches)) <= max_size
