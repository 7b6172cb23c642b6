"""From a request's uploads to its answers: checked, decoded, given to the batcher."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from portrait18.dataset import photos
from portrait18.dataset.photos import PhotoError
from portrait18.server import limits
from portrait18.server.batching import Batcher, Ensemble, answer
from portrait18.server.problems import PhotoProblem, Refused
from portrait18.server.settings import Settings
from portrait18.server.telemetry import Telemetry
from portrait18.server.uploads import Upload

#: Decoded photos lie in memory for this many of the largest allowed at a time, or for those of one request.
_LARGEST_AT_A_TIME = 4
T = TypeVar("T")


class Answering:
    """Answers uploads with one ensemble; decodes in threads, so that requests are read meanwhile."""

    def __init__(self, ensemble: Ensemble, settings: Settings, telemetry: Telemetry):
        self._telemetry, self._max_pixels = telemetry, settings.max_pixels
        self._budget = limits.Budget(_LARGEST_AT_A_TIME * settings.max_pixels)
        self._decoders = ThreadPoolExecutor(
            min(4, os.cpu_count() or 1), thread_name_prefix="decode"
        )
        work = partial(answer, ensemble, telemetry)
        self.batcher = Batcher(work, settings.batch, settings.wait_ms / 1000, telemetry)

    async def close(self) -> None:
        await self.batcher.close()
        self._decoders.shutdown(cancel_futures=True)

    async def __call__(self, uploads: list[Upload]) -> dict[str, Any]:
        """The answers, as `replies.Reply` has them.

        Raises:
            Refused: 422 with every photo that can't be used.
        """
        sizes = await self._of_each(limits.pixels, uploads)
        async with self._budget.hold(
            sum(size for size in sizes if not isinstance(size, PhotoError))
        ):
            with self._telemetry.phase("decode"):
                # All of them, also where some are bad already: who sent them is told of all at once.
                decoded = await self._of_each(photos.decode, uploads, sizes)
            if bad := [
                _problem(i, uploads[i], e)
                for i, e in enumerate(decoded)
                if isinstance(e, PhotoError)
            ]:
                raise Refused(422, f"{len(bad)} of {len(uploads)} photos can't be used", bad)
            faces = await self.batcher(decoded)
        self._telemetry.photos.inc(len(uploads))
        self._telemetry.faces.inc(sum(map(len, faces)))
        return {
            "photos": [
                {"width": photo.shape[1], "height": photo.shape[0], "faces": of_photo}
                for photo, of_photo in zip(decoded, faces, strict=True)
            ]
        }

    async def _of_each(
        self, function: Callable, uploads: list[Upload], before: list | None = None
    ) -> list:
        """`function` of each photo; a `PhotoError` where it raises one, or where there was one before."""
        limit = self._max_pixels

        def call(data: bytes, before):
            try:
                return before if isinstance(before, PhotoError) else function(data, limit)
            except PhotoError as error:
                return error

        calls = zip(uploads, before or [None] * len(uploads), strict=True)
        running = [self._decoders.submit(call, upload.data, bad) for upload, bad in calls]
        try:
            return await asyncio.gather(*map(asyncio.wrap_future, running))
        finally:  # cancelled: a thread goes on with what it began, and its photo is in memory until it ends
            if running := [asyncio.wrap_future(each) for each in running if not each.done()]:
                await asyncio.wait(running)


def _problem(index: int, upload: Upload, error: PhotoError) -> PhotoProblem:
    return PhotoProblem(index=index, name=upload.name, reason=str(error))


async def unless_gone(request: Request, work: asyncio.Task[T]) -> T:
    """Await `work`; cancel it, without waiting for its end, when the client hangs up or nobody awaits this any more.

    Raises:
        ClientDisconnect: it did.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.create_task(gone())
    try:
        await asyncio.wait([work, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
