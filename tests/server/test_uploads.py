import asyncio

import pytest

from portrait18.server.problems import ApiError
from portrait18.server.uploads import FormLimits, Upload, read_uploads

KIND = "multipart/form-data; boundary=xx"
PHOTO = b"\r\n--x\r\n\x00\xff--xy\r\n"  # almost a boundary


def part(data: bytes, head: str = 'name="photos"; filename="a.jpg"') -> bytes:
    headers = f"Content-Disposition: form-data; {head}\r\nContent-Type: image/jpeg"
    return f"--xx\r\n{headers}\r\n\r\n".encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xx--\r\n"


def headers(kind: str | None = KIND, length: str | None = None) -> dict[str, str]:
    found = {"content-type": kind, "content-length": length}
    return {name: value for name, value in found.items() if value is not None}


def uploads(body: bytes, kind=KIND, length=None, step=None, max_bytes=10_000, acquired=None):
    acquired = [] if acquired is None else acquired

    async def chunks():
        for at in range(0, len(body), step or max(1, len(body))):
            yield body[at : at + (step or len(body))]

    limits = FormLimits(max_bytes, max_photos=3)
    return asyncio.run(read_uploads(chunks(), headers(kind, length), limits, acquired.append))


def error_of(*args, **kwargs) -> tuple[int, str]:
    with pytest.raises(ApiError) as error:
        uploads(*args, **kwargs)
    return error.value.status, error.value.detail


@pytest.mark.parametrize("step", [None, 1, 2, 7, 50])
def test_photos_are_read_byte_for_byte_in_order_however_the_body_is_chunked(step):
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
def test_a_body_may_have_exactly_the_maximum_of_bytes(length):
    body = form(part(PHOTO))
    length = str(len(body)) if length else None
    assert len(uploads(body, length=length, step=10, max_bytes=len(body))) == 1
    status, detail = error_of(body, length=length, step=10, max_bytes=len(body) - 1)
    assert status == 413
    assert f"larger than {len(body) - 1} bytes" in detail


def test_a_body_announced_as_too_large_is_not_read():
    async def chunks():
        raise AssertionError("the body was read")
        yield

    with pytest.raises(ApiError, match="larger"):
        asyncio.run(
            read_uploads(
                chunks(), headers(length="10001"), FormLimits(10_000, 1), lambda count: None
            )
        )


@pytest.mark.parametrize(("length", "first"), [(None, 0), ("5", 5), ("all", "all")])
def test_bytes_are_acquired_at_once_if_announced_else_chunk_by_chunk(length, first):
    body, acquired = form(part(PHOTO)), []
    announced = str(len(body)) if length == "all" else length
    uploads(body, length=announced, step=10, acquired=acquired)
    assert sum(acquired) == len(body)
    assert acquired[0] == (len(body) if first == "all" else first)
    assert len(acquired) == (1 if length == "all" else 1 + -(-len(body) // 10))


def test_a_form_may_have_exactly_the_maximum_of_photos():
    assert len(uploads(form(*[part(b"x")] * 3))) == 3
    status, detail = error_of(form(*[part(b"x")] * 4))
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
        (b"", KIND, 400, "body ends before"),
        (form(part(b"x"))[:-9], KIND, 400, "body ends before"),
        (
            form(part(b"x"), part(b"x", 'name="file"')),
            KIND,
            422,
            "unknown field; send every photo as the field photos",
        ),
        (form(part(b"x", 'filename="x"')), KIND, 400, "no name"),
        (b"--xx\r\n\r\nx\r\n--xx--\r\n", KIND, 400, "no name"),
        (b"--xx--\r\n", KIND, 422, "no photo"),
    ],
)
def test_other_bodies_are_rejected_with_the_reason(body, kind, status, detail):
    found = error_of(body, kind)
    assert found[0] == status
    assert detail in found[1]


def test_file_names_are_truncated_and_may_hold_any_bytes():
    (upload,) = uploads(form(part(b"x", 'name="photos"; filename="' + 500 * "n" + '"')))
    assert upload.name == 100 * "n"
    (upload,) = uploads(form(part(b"x").replace(b"a.jpg", b"\xff\xfe.jpg")))
    assert upload.name.endswith(".jpg")
