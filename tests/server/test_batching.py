import asyncio
import threading

import numpy as np
import pytest
from standin import StandIn

from portrait18.server.batching import Batcher, answer
from portrait18.server.telemetry import Telemetry


class Work:
    """Doubles numbers in batches; stands still while `gate` is clear; 13 can't be doubled."""

    def __init__(self):
        self.batches, self.threads = [], set()
        self.gate, self.began = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, numbers: list) -> list:
        self.batches.append(list(numbers))
        self.threads.add(threading.current_thread().name)
        self.began.set()
        assert self.gate.wait(10)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * n for n in numbers]


def run(scenario, work, size=4, wait=0.0):
    async def main():
        batcher = Batcher(work, size, wait, telemetry := Telemetry())
        batcher.start()
        try:
            return await scenario(batcher, telemetry)
        finally:
            work.gate.set()
            await batcher.close()
            assert not batcher.alive

    return asyncio.run(asyncio.wait_for(main(), 20))


async def busy(batcher, work) -> asyncio.Task:
    """Have the thread stand still over the photo 0."""
    work.gate.clear()
    first = asyncio.create_task(batcher([0]))
    await asyncio.to_thread(work.began.wait, 10)
    return first


def test_what_comes_while_the_thread_works_is_its_next_batch_in_order_and_of_at_most_the_size():
    work = Work()

    async def scenario(batcher, telemetry):
        first = await busy(batcher, work)
        later = [asyncio.create_task(batcher(numbers)) for numbers in ([1, 2, 3], [4], [5, 6])]
        await asyncio.sleep(0.01)
        waiting = telemetry.registry.get_sample_value("portrait18_waiting_photos")
        work.gate.set()
        return waiting, await asyncio.gather(first, *later), telemetry.text().decode()

    waiting, results, text = run(scenario, work)
    assert results == [[0], [2, 4, 6], [8], [10, 12]]
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert len(work.threads) == 1
    assert threading.current_thread().name not in work.threads
    assert waiting == 6
    assert "portrait18_batch_photos_count 3.0" in text
    assert "portrait18_batch_photos_sum 7.0" in text


def test_an_idle_thread_waits_for_more_but_not_for_longer_than_it_may():
    work = Work()

    async def scenario(batcher, _):
        async def late():
            await asyncio.sleep(0.02)
            return await batcher([2])

        return await asyncio.gather(batcher([1]), late())

    assert run(scenario, work, wait=1.5) == [[2], [4]]
    assert work.batches == [[1, 2]]


def test_a_full_batch_does_not_wait():
    async def scenario(batcher, _):
        return await batcher([3, 4, 5, 6])

    assert run(scenario, Work(), wait=600) == [6, 8, 10, 12]


def test_a_photo_that_breaks_the_work_costs_its_neighbours_nothing():
    work = Work()

    async def scenario(batcher, _):
        first = await busy(batcher, work)
        later = [asyncio.create_task(batcher(numbers)) for numbers in ([1, 2], [13])]
        await asyncio.sleep(0.01)
        work.gate.set()
        return await asyncio.gather(first, *later, return_exceptions=True), await batcher([7])

    (_, good, bad), after = run(scenario, work)
    assert good == [2, 4]
    assert after == [14]
    assert isinstance(bad, ValueError)


def test_who_gives_up_is_not_worked_for():
    work = Work()

    async def scenario(batcher, telemetry):
        first = await busy(batcher, work)
        gone, stays = (asyncio.create_task(batcher([n])) for n in (1, 2))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        work.gate.set()
        result = await stays
        await first
        return result, telemetry.registry.get_sample_value("portrait18_waiting_photos")

    assert run(scenario, work) == ([4], 0)
    assert work.batches == [[0], [2]]


def test_faces_go_back_to_the_photos_they_are_of():
    ensemble = StandIn()
    photos = [
        np.full((40, 30, 3), (red, 40 * faces, 0), np.uint8)
        for red, faces in ((5, 2), (7, 0), (17, 1))
    ]
    found = answer(ensemble, Telemetry(), photos)
    assert [[face["class"] for face in faces] for faces in found] == [[5, 5], [], [17]]
    assert found[0][0]["box"] == [0, 10, 15, 20]
    assert found[0][1]["box"] == [15, 10, 30, 20]
    assert answer(ensemble, Telemetry(), photos[1:2]) == [[]]


@pytest.mark.parametrize("size", [1, 3])
def test_no_batch_is_larger_than_the_size(size):
    work = Work()

    async def scenario(batcher, _):
        return await asyncio.gather(*(batcher([n, n + 1]) for n in range(0, 12, 2)))

    assert run(scenario, work, size=size) == [[2 * n, 2 * n + 2] for n in range(0, 12, 2)]
    assert max(map(len, work.batches)) <= size
