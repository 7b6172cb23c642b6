"""Batch the photos of concurrent requests: photos that arrive during a batch form the next one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from portrait18.server.telemetry import Telemetry

log = logging.getLogger(__name__)

#: The server is broken after this many consecutive batches in which every photo failed.
FAILED_BATCHES = 3


class _Pending(NamedTuple):
    photo: np.ndarray
    result: asyncio.Future
    since: float


class Batcher:
    """Queues photos and processes them in batches, in one thread.

    Args:
        process: returns one result per photo, in order; called from that thread only.
        max_size: maximum photos per batch.
        max_wait: seconds that a partial batch waits for more photos while the thread is idle.
        telemetry: receives queue length, batch sizes and waiting times.
    """

    def __init__(
        self,
        process: Callable[[list[np.ndarray]], list],
        max_size: int,
        max_wait: float,
        telemetry: Telemetry,
    ):
        self._process, self._max_size, self._max_wait = process, max_size, max_wait
        self._telemetry = telemetry
        self._queue: deque[_Pending] = deque()
        self._not_empty, self._full = asyncio.Event(), asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="networks")
        self._task: asyncio.Task | None = None
        self._failed_batches = 0  # consecutive

    def start(self) -> None:
        """Start processing; call within the event loop."""
        self._task = asyncio.create_task(self._run())

    @property
    def healthy(self) -> bool:
        """Whether it runs and the last batches did not all fail, as with a broken GPU."""
        running = self._task is not None and not self._task.done()
        return running and self._failed_batches < FAILED_BATCHES

    async def close(self) -> None:
        """Finish the current batch and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.to_thread(self._thread.shutdown)

    async def __call__(self, photos: Sequence[np.ndarray]) -> list:
        """Return one result per photo. On cancellation, photos still in the queue are dropped.

        Raises:
            Exception: what `process` raised for one of the photos alone.
        """
        loop = asyncio.get_running_loop()
        items = [_Pending(photo, loop.create_future(), time.perf_counter()) for photo in photos]
        self._queue.extend(items)
        self._signal()
        # Await all of them, so that no future holds an exception that nobody retrieves.
        results = await asyncio.gather(*(item.result for item in items), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def _signal(self) -> None:
        count = len(self._queue)
        self._telemetry.waiting.set(count)
        (self._not_empty.set if count else self._not_empty.clear)()
        (self._full.set if count >= self._max_size else self._full.clear)()

    async def _collect(self) -> list[_Pending]:
        await self._not_empty.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._full.wait(), self._max_wait)
        batch: list[_Pending] = []
        while self._queue and len(batch) < self._max_size:
            item = self._queue.popleft()
            if not item.result.done():  # else its request was cancelled
                batch.append(item)
                self._telemetry.phases.labels("wait").observe(time.perf_counter() - item.since)
        self._signal()
        return batch

    async def _run(self) -> None:
        while True:
            if batch := await self._collect():
                self._telemetry.batches.observe(len(batch))
                succeeded = await self._run_batch(batch)
                self._failed_batches = 0 if succeeded else self._failed_batches + 1

    async def _run_batch(self, batch: list[_Pending]) -> bool:
        """Process a batch; return whether at least one photo succeeded."""
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(
                self._thread, self._process, [item.photo for item in batch]
            )
        except Exception as error:
            if len(batch) == 1:
                log.exception("one photo could not be processed")
                _resolve(batch[0], error)
                return False
            # Retry one by one: a photo that fails must not fail the photos of other requests.
            return any([await self._run_batch([item]) for item in batch])
        for item, result in zip(batch, results, strict=True):
            _resolve(item, result)
        return True


def _resolve(item: _Pending, result: Any) -> None:
    if item.result.done():
        return
    if isinstance(result, Exception):
        item.result.set_exception(result)
    else:
        item.result.set_result(result)
