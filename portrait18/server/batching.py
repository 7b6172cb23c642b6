"""Photos of many requests, answered together: one thread works, and what comes meanwhile is its next batch."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np

from portrait18.deployment.results import Detection, FacePrediction
from portrait18.server.telemetry import Telemetry

log = logging.getLogger(__name__)

#: Batches of which no photo could be answered, one after the other, after which the server says that it is broken.
FAILED_BATCHES = 3


class Ensemble(Protocol):
    """What the server needs of a `portrait18.deployment.predictor.Predictor`."""

    def detect(self, photos: list[np.ndarray]) -> list[list[Detection]]: ...

    def predict_faces(self, detections: list[list[Detection]]) -> list[list[FacePrediction]]: ...


def answer(
    ensemble: Ensemble, telemetry: Telemetry, photos: list[np.ndarray]
) -> list[list[dict[str, Any]]]:
    """Each photo's faces as `FacePrediction.to_dict` has them; all faces go through the networks together.

    Args:
        photos: uint8 (H, W, 3), RGB, upright, of any sizes.
    """
    with telemetry.phase("detect"):
        detections = ensemble.detect(photos)
    with telemetry.phase("answer"):
        predictions = ensemble.predict_faces(detections)
    return [[face.to_dict() for face in photo] for photo in predictions]


class _Waiting(NamedTuple):
    photo: np.ndarray
    answered: asyncio.Future
    since: float


class Batcher:
    """Collects photos and has them worked on, `size` at most at a time, in a thread of its own.

    Args:
        work: photos -> a result each, in their order; called by that thread alone.
        size: most photos at a time.
        wait: seconds that photos wait for more while the thread has nothing to do.
    """

    def __init__(
        self, work: Callable[[list[np.ndarray]], list], size: int, wait: float, telemetry: Telemetry
    ):
        self._work, self._size, self._wait, self._telemetry = work, size, wait, telemetry
        self._waiting: deque[_Waiting] = deque()
        self._some, self._enough = asyncio.Event(), asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="networks")
        self._task: asyncio.Task | None = None
        self._failed = 0  # batches in a row

    def start(self) -> None:
        """Begin to work; call within the event loop."""
        self._task = asyncio.create_task(self._run())

    @property
    def alive(self) -> bool:
        """Whether it works, and not every photo of the last batches failed, as with a GPU that needs a new process."""
        return self._task is not None and not self._task.done() and self._failed < FAILED_BATCHES

    async def close(self) -> None:
        """Finish the batch in work, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.to_thread(self._thread.shutdown)

    async def __call__(self, photos: Sequence[np.ndarray]) -> list:
        """The results for some photos. Cancelled, those that are not yet in work are dropped.

        Raises:
            Exception: whatever `work` raised for one of them alone.
        """
        loop = asyncio.get_running_loop()
        mine = [_Waiting(photo, loop.create_future(), time.perf_counter()) for photo in photos]
        self._waiting.extend(mine)
        self._signal()
        # All of them, so that an exception is never left without anyone who looks at it.
        results = await asyncio.gather(*(item.answered for item in mine), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def _signal(self) -> None:
        count = len(self._waiting)
        self._telemetry.waiting.set(count)
        (self._some.set if count else self._some.clear)()
        (self._enough.set if count >= self._size else self._enough.clear)()

    async def _collect(self) -> list[_Waiting]:
        await self._some.wait()
        try:
            await asyncio.wait_for(self._enough.wait(), self._wait)
        except TimeoutError:
            pass
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._size:
            item = self._waiting.popleft()
            if not item.answered.done():  # else its request has gone
                batch.append(item)
                self._telemetry.phases.labels("wait").observe(time.perf_counter() - item.since)
        self._signal()
        return batch

    async def _run(self) -> None:
        while True:
            if batch := await self._collect():
                self._telemetry.batches.observe(len(batch))
                self._failed = 0 if await self._answer(batch) else self._failed + 1

    async def _answer(self, batch: list[_Waiting]) -> bool:
        """Whether there is an answer for one of them at least."""
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(
                self._thread, self._work, [item.photo for item in batch]
            )
        except Exception as error:
            if len(batch) == 1:
                log.exception("one photo could not be worked on")
                _give(batch[0], error)
                return False
            # What one photo does to the networks must not cost its neighbours their answers.
            return any([await self._answer([item]) for item in batch])
        for item, result in zip(batch, results, strict=True):
            _give(item, result)
        return True


def _give(item: _Waiting, result: Any) -> None:
    if item.answered.done():
        return
    if isinstance(result, Exception):
        item.answered.set_exception(result)
    else:
        item.answered.set_result(result)
