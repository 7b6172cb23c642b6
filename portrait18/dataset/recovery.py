"""Photos with intact pixels in a damaged file: the file without its extras, and with an end.

Extras are EXIF, color profiles, text, thumbnails and all else that does not change the decoded
pixels. Readable EXIF is kept, for the orientation. Truncated pixels are never accepted.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

#: JPEG markers that are followed by a length.
JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TABLES = re.compile(rb"\xff\xdb\x00")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MAX_STARTS = 32
_APP1, _APP14, _COMMENT = 0xE1, 0xEE, 0xFE
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_PAD = 4096  # bytes; no block of a JPEG is longer
_MIN_ZEROS = 16  # so many zeros at the end are unwritten disk blocks, not pixels
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_WEBP_EXTRAS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}


def versions(data: bytes, max_pixels: int) -> list[bytes]:
    """Return the file without damaged extras, in versions that must decode to the same pixels.

    Args:
        data: content of a file that Pillow refuses.
        max_pixels: bounds the work.

    Returns:
        Several versions of a JPEG without an end marker: what follows the last bits must not
        change a pixel, or pixels are missing. One of other files. Empty if pixels are missing, and
        for other formats.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(_PNG):
        return _png(data, max_pixels)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return []


def _is_readable(exif: bytes) -> bool:
    try:
        Image.Exif().load(exif)
    except Exception:  # Pillow raises half a dozen kinds
        return False
    return exif.startswith((b"II", b"MM", b"Exif\0\0"))


class _Jpeg:
    """The segments of a JPEG from a position on.

    Attributes:
        parts: segments that are kept, and the entropy-coded data of each scan.
        pixels: size of the frame; 0 without one.
        scans: entropy-coded data of the scans.
        ended: whether the end marker was found.
    """

    def __init__(self, data: bytes, position: int):
        self.parts: list[bytes] = [b"\xff\xd8"]
        self.scans: list[bytes] = []
        self.pixels, self.ended = 0, False
        self._missing: dict[int, set[int]] = {}  # component -> coefficients without all bits
        while (marker := JPEG_MARKER.search(data, position)) and not self.ended:
            code = marker[1][0]
            self.ended = code == _END_OF_IMAGE
            end = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
            if end < marker.end() + 2 or end > len(data) or self.ended:
                break
            position = self._take(data, code, marker.start(), end)

    def _take(self, data: bytes, code: int, start: int, end: int) -> int:
        segment = data[start:end]
        if code in _FRAMES and len(segment) >= 10:
            height, width = struct.unpack(">HH", segment[5:9])
            self.pixels = max(self.pixels, height * width)
            self._missing = {c: set(range(64)) for c in segment[10::3]}
        is_extra = 0xE0 <= code <= 0xEF and code not in (0xE0, _APP14)
        if code == _APP1 and segment[4:10] == b"Exif\0\0" and _is_readable(segment[4:]):
            is_extra = False
        if not is_extra and code != _COMMENT:
            self.parts.append(segment)
        if code != _START_OF_SCAN:
            return end
        following = _NEXT_MARKER.search(data, end)
        stop = following.start() if following else len(data)
        self._add_scan(segment, data[end:stop])
        return stop

    def _add_scan(self, header: bytes, scan: bytes) -> None:
        self.parts.append(scan)
        self.scans.append(scan)
        if len(header) < 8 or len(header) != 8 + 2 * header[4]:
            return
        first, last, bits = header[-3:]
        if bits & 15 == 0:  # the scan holds the last bit of these coefficients
            for component in header[5:-3:2]:
                self._missing.get(component, set()).difference_update(range(first, last + 1))

    @property
    def is_complete(self) -> bool:
        """Whether there is a scan for every bit of every coefficient."""
        return bool(self.scans) and not any(self._missing.values())


def _jpeg(data: bytes) -> list[bytes]:
    if len(data) - len(data.rstrip(b"\0")) >= _MIN_ZEROS:
        data = data.rstrip(b"\0")
    # A damaged length can hide the tables, or end inside a thumbnail: take the largest frame.
    starts = [2, *(match.start() for match in _TABLES.finditer(data))][:_MAX_STARTS]
    found = [jpeg for jpeg in (_Jpeg(data, start) for start in starts) if jpeg.scans]
    jpeg = max(found, key=lambda jpeg: jpeg.pixels, default=None)
    if jpeg is None or not jpeg.pixels:
        return []
    end = b"\xff\xd9"
    if jpeg.ended:
        return [b"".join(jpeg.parts) + end]
    if not jpeg.is_complete:
        return []
    body = b"".join(jpeg.parts)
    body = body[:-1] if body.endswith(b"\xff") else body
    restart = bytes([0xFF, 0xD0 + len(_RESTART.findall(jpeg.scans[-1])) % 8])
    pads = (b"", b"\x55" * _PAD, b"\xaa" * _PAD, restart + b"\x55" * _PAD)
    return [body + pad + end for pad in pads]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield name, content and whether the checksum is right, of each complete chunk of a PNG."""
    position = len(_PNG)
    while position + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        stop = position + 8 + length
        if not name.isalpha() or stop > len(data):  # a damaged length: look for the next chunk
            places = [data.find(other, position + 8) for other in _PNG_CRITICAL]
            places = [place - 4 for place in places if place >= 0]
            if not places or name in _PNG_CRITICAL:
                return
            position = min(places)
            continue
        content = data[position + 8 : stop]
        checksum = struct.pack(">I", zlib.crc32(name + content))
        yield name, content, data[stop : stop + 4] == checksum
        position = stop + 4


def _png(data: bytes, max_pixels: int) -> list[bytes]:
    kept, pixels = [], []
    for name, content, is_intact in _chunks(data):
        if name in (b"IHDR", b"PLTE") and not is_intact:
            return []
        if name == b"IDAT":
            pixels.append(content)
        elif (
            name in (b"IHDR", b"PLTE")
            or (name == b"tRNS" and is_intact)
            or (name == b"eXIf" and _is_readable(content))
        ):
            kept.append((name, content))
    stream = b"".join(pixels)
    if not _is_whole_stream(stream, 9 * max_pixels):
        return []
    chunks = [*kept, (b"IDAT", stream), (b"IEND", b"")]
    return [_PNG + b"".join(map(_png_chunk, *zip(*chunks, strict=True)))]


def _png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _is_whole_stream(stream: bytes, max_bytes: int) -> bool:
    """Return whether compressed data are complete and match their checksum."""
    inflate, size = zlib.decompressobj(), 0
    try:
        while stream and not inflate.eof and size <= max_bytes:
            size += len(inflate.decompress(stream, 2**20))
            stream = inflate.unconsumed_tail
    except zlib.error:
        return False
    return inflate.eof


def _webp(data: bytes) -> list[bytes]:
    kept, position, removed = [], 12, 0
    while position + 8 <= len(data):
        name, length = struct.unpack("<4sI", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        if name in _WEBP_EXTRAS:
            if len(content) == length and name == b"EXIF" and _is_readable(content):
                kept.append((name, content))
            else:
                removed |= _WEBP_EXTRAS[name]
        elif len(content) < length:
            return []
        else:
            kept.append((name, content))
        position += 8 + length + length % 2
    body = b"WEBP"
    for name, content in kept:
        if name == b"VP8X" and content:
            content = bytes([content[0] & ~removed]) + content[1:]
        body += name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return [b"RIFF" + struct.pack("<I", len(body)) + body] if kept else []
