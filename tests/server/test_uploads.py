import asyncio

import pytest

from portrait18.server.problems import Refused
from portrait18.server.uploads import Upload, read

KIND = "multipart/form-data; boundary=xx"
PHOTO = b"\r\n--x\r\n\x00\xff--xy\r\n"  # nearly a boundary


def part(data: bytes, head: str = 'name="photos"; filename="a.jpg"') -> bytes:
    return (
        f"--xx\r\nContent-Disposition: form-data; {head}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
    )


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xx--\r\n"


def uploads(
    body: bytes,
    kind: str | None = KIND,
    length=None,
    step=None,
    max_bytes=10_000,
    max_photos=3,
    taken=None,
):
    taken = [] if taken is None else taken

    async def chunks():
        for at in range(0, len(body), step or max(1, len(body))):
            yield body[at : at + (step or len(body))]

    return asyncio.run(read(chunks(), kind, length, max_bytes, max_photos, taken.append))


def refusal(*args, **kwargs) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        uploads(*args, **kwargs)
    return refused.value.status, refused.value.detail


@pytest.mark.parametrize("step", [None, 1, 2, 7, 50])
def test_photos_come_out_byte_for_byte_in_their_order_however_the_body_arrives(step):
    body = form(
        part(PHOTO),
        part(b"", 'name="photos"'),
        part(b"b" * 300, 'filename="b/c d.png"; name="photos"'),
    )
    assert uploads(body, step=step) == [
        Upload("a.jpg", PHOTO),
        Upload(None, b""),
        Upload("b/c d.png", b"b" * 300),
    ]


@pytest.mark.parametrize("length", [None, "exact"])
def test_a_body_may_have_so_many_bytes_and_not_one_more(length):
    body = form(part(PHOTO))
    told = str(len(body)) if length else None
    assert len(uploads(body, length=told, step=10, max_bytes=len(body))) == 1
    status, detail = refusal(body, length=told, step=10, max_bytes=len(body) - 1)
    assert status == 413
    assert f"larger than {len(body) - 1} bytes" in detail


def test_a_body_that_says_it_is_too_large_is_not_read():
    async def chunks():
        raise AssertionError("it was read")
        yield

    with pytest.raises(Refused, match="larger"):
        asyncio.run(read(chunks(), KIND, "10001", 10_000, 1, lambda count: None))


@pytest.mark.parametrize(("told", "first"), [(None, 0), ("5", 5), ("all", "all")])
def test_bytes_are_counted_before_they_are_kept_at_once_where_their_number_is_told(told, first):
    body, taken = form(part(PHOTO)), []
    uploads(body, length=str(len(body)) if told == "all" else told, step=10, taken=taken)
    assert sum(taken) == len(body)
    assert taken[0] == (len(body) if first == "all" else first)
    assert len(taken) == (1 if told == "all" else 1 + -(-len(body) // 10))


def test_so_many_photos_and_not_one_more():
    assert len(uploads(form(*[part(b"x")] * 3))) == 3
    status, detail = refusal(form(*[part(b"x")] * 4))
    assert status == 422
    assert "at most 3 photos" in detail


@pytest.mark.parametrize(
    ("body", "kind", "status", "detail"),
    [
        (form(part(b"x")), None, 415, "field photos"),
        (form(part(b"x")), "image/jpeg", 415, "not multipart"),
        (form(part(b"x")), "multipart/form-data", 400, "not well-formed"),
        (form(part(b"x")), "multipart/form-data; boundary=" + 300 * "y", 400, "not well-formed"),
        (b"nonsense", KIND, 400, "not well-formed"),
        (b"", KIND, 400, "breaks off"),
        (form(part(b"x"))[:-9], KIND, 400, "breaks off"),
        (
            form(part(b"x"), part(b"x", 'name="file"')),
            KIND,
            422,
            "not known; name every photo's field photos",
        ),
        (form(part(b"x", 'filename="x"')), KIND, 400, "no name"),
        (b"--xx\r\n\r\nx\r\n--xx--\r\n", KIND, 400, "no name"),
        (b"--xx--\r\n", KIND, 422, "no photo"),
    ],
)
def test_what_is_no_form_of_photos_is_refused_with_the_reason(body, kind, status, detail):
    found = refusal(body, kind)
    assert found[0] == status
    assert detail in found[1]


def test_names_are_cut_and_may_hold_anything():
    (upload,) = uploads(form(part(b"x", 'name="photos"; filename="' + 500 * "n" + '"')))
    assert upload.name == 100 * "n"
    (upload,) = uploads(form(part(b"x").replace(b"a.jpg", b"\xff\xfe.jpg")))
    assert upload.name.endswith(".jpg")
