"""The photos out of a multipart body, in memory alone: the usual form parsers write larger files to disk."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from portrait18.server.problems import Refused

logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)  # its warnings quote the body
FIELD = "photos"
#: Characters of a file name that are told back.
_NAME_LENGTH = 100


class Upload(NamedTuple):
    """One photo as it was sent."""

    name: str | None
    data: bytes


class _Form:
    """Collects the parts of a form while the parser finds them."""

    def __init__(self, max_photos: int):
        self.uploads: list[Upload] = []
        self.ended = False
        self._max_photos = max_photos
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._file: str | None = None

    def callbacks(self) -> dict:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(
            self._headers.get(b"content-disposition", b"").decode("latin-1")
        )
        if kind != b"form-data" or b"name" not in options:
            raise Refused(400, "a part of the form has no name; send multipart/form-data")
        if options[b"name"] != FIELD.encode():
            raise Refused(
                422, f"the form has a field that is not known; name every photo's field {FIELD}"
            )
        if len(self.uploads) == self._max_photos:
            raise Refused(
                422,
                f"at most {self._max_photos} photos are allowed in a request; send the others in another",
            )
        name = options.get(b"filename")
        self._file = None if name is None else name.decode(errors="replace")[:_NAME_LENGTH]

    def _part_end(self) -> None:
        self.uploads.append(Upload(self._file, bytes(self._data)))
        self._data.clear()

    def _end(self) -> None:
        self.ended = True


def too_large(max_bytes: int) -> Refused:
    return Refused(413, f"the body is larger than {max_bytes} bytes; send fewer or smaller photos")


async def read(
    chunks: AsyncIterator[bytes],
    content_type: str | None,
    length: str | None,
    max_bytes: int,
    max_photos: int,
    take: Callable[[int], None],
) -> list[Upload]:
    """The photos of a request, in the order of the form; at least one.

    Args:
        chunks: the body.
        content_type: the header.
        length: the header Content-Length.
        take: called with a number of bytes before they are kept; it may raise.

    Raises:
        Refused: 400 not a well-formed form, 413 too many bytes, 415 not a form, 422 other fields, too many photos
            or none.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Refused(
            415, f"the body is not multipart/form-data; send the photos as its field {FIELD}"
        )
    taken = int(length) if length is not None and length.isdecimal() else 0
    if taken > max_bytes:
        raise too_large(max_bytes)
    take(taken)  # all of it now: who is let in is not sent away half-way
    form, size = _Form(max_photos), 0
    try:
        if not options.get(b"boundary"):
            raise FormParserError("no boundary")
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise too_large(max_bytes)
            if size > taken:
                take(size - taken)
                taken = size
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise Refused(400, "the body is not well-formed multipart/form-data") from None
    if not form.ended:
        raise Refused(400, "the body breaks off before the form's last boundary")
    if not form.uploads:
        raise Refused(422, f"no photo was sent; the form's field is {FIELD}")
    return form.uploads
