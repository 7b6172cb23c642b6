"""What is let in, and how much of it at a time."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from PIL import Image

from portrait18.dataset import photos
from portrait18.dataset.photos import PhotoError
from portrait18.server.problems import Refused


def pixels(data: bytes, max_pixels: int) -> int:
    """Width x height by a photo's header, before any memory is taken.

    Raises:
        PhotoError: not an image, or too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=photos.FORMATS) as image:
            width, height = image.size
    except Exception:  # Pillow raises a dozen kinds for broken headers
        raise PhotoError(f"is not an image; send one of {', '.join(photos.FORMATS)}") from None
    if width * height > max_pixels:
        raise PhotoError(
            f"has {width}x{height} px, at most {max_pixels} px are allowed; make it smaller"
        )
    return width * height


class Gate:
    """Counts what is inside, photos or bytes; refuses beyond `places`.

    A request takes one place when it comes and one for each further photo when its body has been read, so that
    bodies being uploaded count too.
    """

    def __init__(self, places: int, what: str):
        self.places, self.what, self.inside = places, what, 0

    @contextmanager
    def enter(self) -> Iterator[Callable[[int], None]]:
        """Gives what takes so many places, or so many more; all of them are held until the end.

        Raises:
            Refused: there are not so many left; where they are taken.
        """
        held = 0

        def take(count: int) -> None:
            nonlocal held
            if self.inside + count > self.places:
                refusal = f"too many {self.what} are waiting; try again in a second"
                raise Refused(503, refusal, headers={"Retry-After": "1"})
            self.inside += count
            held += count

        try:
            yield take
        finally:
            self.inside -= held


class Budget:
    """A number of decoded pixels that may lie in memory at a time; who wants more waits, in the order of coming."""

    def __init__(self, pixels: int):
        self._free = self._all = pixels
        self._turn = asyncio.Lock()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Hold `count` pixels; who wants more than there are gets all of them."""
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
