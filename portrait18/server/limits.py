"""Limits on the photos, bytes and decoded pixels in progress."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from portrait18.server.problems import ApiError


class Limiter:
    """Counts units in progress and rejects requests for more than `capacity`.

    A request acquires one photo when it arrives and the others once its body is read, so that
    bodies still being uploaded count too.

    Args:
        capacity: maximum number of units in progress.
        unit: plural name of a unit, for the error message.
    """

    def __init__(self, capacity: int, unit: str):
        self.capacity, self.unit, self.in_use = capacity, unit, 0

    def acquire(self, count: int, held: ExitStack) -> None:
        """Acquire `count` units until `held` closes.

        Raises:
            ApiError: 503, fewer units are free.
        """
        if self.in_use + count > self.capacity:
            raise ApiError(
                503,
                f"too many {self.unit} are waiting; try again in a second",
                headers={"Retry-After": "1"},
            )
        self.in_use += count
        held.callback(self._release, count)

    def _release(self, count: int) -> None:
        self.in_use -= count


class PixelBudget:
    """Bounds the number of decoded pixels in memory; requests wait in order of arrival."""

    def __init__(self, pixels: int):
        self._free = self._all = pixels
        self._turn = asyncio.Lock()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Hold `count` pixels, or the whole budget if `count` is larger."""
        count = min(count, self._all)
        async with self._turn, self._freed:
            await self._freed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            async with self._freed:
                self._free += count
                self._freed.notify_all()
