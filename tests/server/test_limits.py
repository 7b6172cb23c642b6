import asyncio
import struct
import zlib
from contextlib import ExitStack

import pytest
from fake import png

from portrait18.dataset.photos import PhotoError, header_pixels
from portrait18.server.limits import Limiter, PixelBudget
from portrait18.server.problems import ApiError


def png_of(width: int, height: int) -> bytes:
    """A tiny file whose header claims this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_pixels_are_counted_from_the_header(kind):
    photo = png(width=30, height=50, kind=kind)
    assert header_pixels(photo, 1500) == 1500
    with pytest.raises(PhotoError, match="30x50 px, at most 1499 px"):
        header_pixels(photo, 1499)


def test_a_decompression_bomb_is_rejected_by_its_header():
    with pytest.raises(PhotoError, match="60000x60000"):
        header_pixels(png_of(60000, 60000), 25_000_000)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_a_file_that_is_no_image_gets_the_list_of_formats(data):
    with pytest.raises(PhotoError, match="not an image; send one of JPEG"):
        header_pixels(data, 100)


def test_a_limiter_rejects_requests_above_its_capacity_until_others_finish():
    limiter = Limiter(3, "photos")
    with ExitStack() as first:
        limiter.acquire(1, first)
        limiter.acquire(1, first)
        with ExitStack() as second:
            with pytest.raises(ApiError, match="too many photos are waiting") as error:
                limiter.acquire(2, second)
            assert error.value.status == 503
            assert error.value.headers == {"Retry-After": "1"}
            limiter.acquire(1, second)
            assert limiter.in_use == 3
        assert limiter.in_use == 2
    assert limiter.in_use == 0


def test_the_pixel_budget_serves_requests_in_order_of_arrival():
    async def run() -> list[str]:
        budget, events = PixelBudget(10), []

        async def hold(name: str, count: int) -> None:
            async with budget.hold(count):
                events.append(f"{name} in")
                await asyncio.sleep(0.01)
                events.append(f"{name} out")

        # a and b fit; c needs more than is left; d would fit, but arrived after c.
        await asyncio.gather(hold("a", 5), hold("b", 4), hold("c", 6), hold("d", 1))
        return events

    events = asyncio.run(run())
    assert events[:2] == ["a in", "b in"]
    assert events.index("a out") < events.index("c in") < events.index("d in")


def test_a_request_above_the_pixel_budget_gets_the_whole_budget():
    async def run() -> None:
        budget = PixelBudget(10)
        async with budget.hold(4):
            late = asyncio.create_task(_hold(budget, 1000))
            await asyncio.sleep(0.01)
            assert not late.done()
        await late
        # A cancelled request holds nothing.
        async with budget.hold(10):
            gone = asyncio.create_task(_hold(budget, 1))
            await asyncio.sleep(0.01)
            gone.cancel()
        await asyncio.wait_for(_hold(budget, 10), 1)

    asyncio.run(run())


async def _hold(budget: PixelBudget, count: int) -> None:
    async with budget.hold(count):
        pass
