"""Read the photos of a multipart form into memory.

Starlette's MultiPartParser is not used: it writes files above 1 MB to disk, decodes parts without a
file name as text, accepts a body cut before the last boundary, and limits photos only by a 400.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from portrait18.server.problems import ApiError

logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)  # its warnings quote the body
FIELD = "photos"
#: Characters of a file name that an error response repeats.
_NAME_LENGTH = 100


class Upload(NamedTuple):
    """One photo as sent."""

    name: str | None
    data: bytes


class FormLimits(NamedTuple):
    """What one request may hold."""

    max_bytes: int
    max_photos: int


class _Form:
    """Collects the parts of a form from the parser's callbacks."""

    def __init__(self, max_photos: int):
        self.uploads: list[Upload] = []
        self.ended = False
        self._max_photos = max_photos
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._file: str | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        """Return a parser that fills this form."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(
            self._headers.get(b"content-disposition", b"").decode("latin-1")
        )
        if kind != b"form-data" or b"name" not in options:
            raise ApiError(400, "a part of the form has no name; send multipart/form-data")
        if options[b"name"] != FIELD.encode():
            raise ApiError(
                422, f"the form has an unknown field; send every photo as the field {FIELD}"
            )
        if len(self.uploads) == self._max_photos:
            raise ApiError(
                422,
                f"at most {self._max_photos} photos are allowed in a request;"
                " send the others in another request",
            )
        name = options.get(b"filename")
        self._file = None if name is None else name.decode(errors="replace")[:_NAME_LENGTH]

    def _part_end(self) -> None:
        self.uploads.append(Upload(self._file, bytes(self._data)))
        self._data.clear()

    def _end(self) -> None:
        self.ended = True


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"the body is larger than {max_bytes} bytes; send fewer or smaller photos")


async def read_uploads(
    chunks: AsyncIterator[bytes],
    headers: Mapping[str, str],
    limits: FormLimits,
    acquire_bytes: Callable[[int], None],
) -> list[Upload]:
    """Return the photos of a request, at least one, in the order of the form.

    Args:
        chunks: the body.
        headers: the request's headers, with names in lower case or a case-insensitive mapping.
        limits: the maximum bytes and photos.
        acquire_bytes: called with a number of bytes before they are kept; may raise.

    Raises:
        ApiError: 400 malformed form, 413 too many bytes, 415 not a form, 422 unknown fields, too
            many photos, or none.
    """
    kind, options = parse_options_header(headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise ApiError(
            415, f"the body is not multipart/form-data; send the photos as its field {FIELD}"
        )
    length = headers.get("content-length", "")
    acquired = int(length) if length.isdecimal() else 0
    if acquired > limits.max_bytes:
        raise _too_large(limits.max_bytes)
    acquire_bytes(acquired)  # all at once: an accepted request is not rejected half-way
    form, size = _Form(limits.max_photos), 0
    try:
        if not options.get(b"boundary"):
            raise FormParserError("no boundary")
        parser = form.parser(options[b"boundary"])
        async for chunk in chunks:
            size += len(chunk)
            if size > limits.max_bytes:
                raise _too_large(limits.max_bytes)
            if size > acquired:
                acquire_bytes(size - acquired)
                acquired = size
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise ApiError(400, "the body is not well-formed multipart/form-data") from None
    if not form.ended:
        raise ApiError(400, "the body ends before the form's last boundary")
    if not form.uploads:
        raise ApiError(422, f"no photo was sent; send photos as the form field {FIELD}")
    return form.uploads
