import asyncio
import struct
import zlib

import pytest
from standin import png

from portrait18.dataset.photos import PhotoError
from portrait18.server.limits import Budget, Gate, pixels
from portrait18.server.problems import Refused


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and is not."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_pixels_are_counted_up_to_the_limit(kind):
    photo = png(width=30, height=50, kind=kind)
    assert pixels(photo, 1500) == 1500
    with pytest.raises(PhotoError, match="30x50 px, at most 1499 px"):
        pixels(photo, 1499)


def test_a_bomb_is_refused_by_its_header():
    with pytest.raises(PhotoError, match="60000x60000"):
        pixels(png_of(60000, 60000), 25_000_000)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_image_is_told_what_is(data):
    with pytest.raises(PhotoError, match="not an image; send one of JPEG"):
        pixels(data, 100)


def test_the_gate_holds_so_many_and_forgets_who_left():
    gate = Gate(3, "photos")
    with gate.enter() as take:
        take(1)
        take(1)
        with (
            pytest.raises(Refused, match="too many photos are waiting") as refused,
            gate.enter() as others,
        ):
            others(2)
        assert refused.value.status == 503
        assert refused.value.headers == {"Retry-After": "1"}
        with gate.enter() as others:
            others(1)
            assert gate.inside == 3
        assert gate.inside == 2
    with pytest.raises(KeyError), gate.enter() as take:
        take(3)
        raise KeyError
    assert gate.inside == 0


def test_the_budget_is_given_in_the_order_of_coming():
    async def run() -> list[str]:
        budget, events = Budget(10), []

        async def hold(name: str, count: int) -> None:
            async with budget.hold(count):
                events.append(f"{name} in")
                await asyncio.sleep(0.01)
                events.append(f"{name} out")

        # a and b fit; c wants more than is left, and d, who would fit, came after it.
        await asyncio.gather(hold("a", 5), hold("b", 4), hold("c", 6), hold("d", 1))
        return events

    events = asyncio.run(run())
    assert events[:2] == ["a in", "b in"]
    assert events.index("a out") < events.index("c in") < events.index("d in")


def test_who_wants_more_than_there_is_gets_all_of_it():
    async def run() -> None:
        budget = Budget(10)
        async with budget.hold(4):
            late = asyncio.create_task(_hold(budget, 1000))
            await asyncio.sleep(0.01)
            assert not late.done()
        await late
        # Who gave up waiting left nothing held.
        async with budget.hold(10):
            gone = asyncio.create_task(_hold(budget, 1))
            await asyncio.sleep(0.01)
            gone.cancel()
        await asyncio.wait_for(_hold(budget, 10), 1)

    asyncio.run(run())


async def _hold(budget: Budget, count: int) -> None:
    async with budget.hold(count):
        pass
