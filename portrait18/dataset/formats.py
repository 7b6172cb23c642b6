"""Photo formats: which are read, which suffixes they have, and how to convert the others."""

import importlib
from contextlib import suppress

from PIL import features

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp")
#: Suffixes of formats that `photos.decode` reads.
SUFFIXES = (*JPEG_SUFFIXES, ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
#: Suffixes of other pictures. HEIC and AVIF are read where a plugin is installed.
OTHER_SUFFIXES = (".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpf", ".mpo")
_RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw")
PICTURE_SUFFIXES = (*SUFFIXES, *OTHER_SUFFIXES, *_RAW_SUFFIXES, ".psd", ".tga", ".svg", ".ico")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
#: First bytes of the formats that are read, apart from WebP and BMP.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")
_BMP_HEADERS = [size.to_bytes(2, "little") for size in (12, 40, 52, 56, 64, 108, 124)]


def _with_plugins() -> tuple[str, ...]:
    """Return the formats of Pillow that are read; Pillow starts external programs for others.

    pi-heif reads HEIC and only decodes; pillow-heif also encodes. Neither is a dependency.
    """
    formats = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]
    if features.check("avif"):
        formats.append("AVIF")
    for name in ("pi_heif", "pillow_heif"):
        with suppress(Exception):  # missing, or built for another Pillow
            importlib.import_module(name).register_heif_opener()
            return (*formats, "HEIF")
    return tuple(formats)


#: Names of the formats in Pillow.
FORMATS = _with_plugins()


def is_picture(head: bytes) -> bool:
    """Return whether the first bytes (at least 16) of a file are those of a known picture."""
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    # BM alone begins many words; a bitmap has two reserved fields and a header of a known size.
    is_bmp = head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:16] in _BMP_HEADERS
    return head.startswith(_SIGNATURES) or is_webp or is_bmp or bool(convert_hint(head))


def convert_hint(data: bytes) -> str:
    """Return the name of a format that needs a plugin or a conversion and the command, or "".

    Args:
        data: content of a file, or its first 16 bytes.
    """
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in _HEIF_BRANDS:
        return "HEIC; install pi-heif (pip install pi-heif) or convert it: heif-convert IN OUT.jpg"
    if brand in (b"avif", b"avis"):
        return "AVIF; install a Pillow with AVIF or convert it: avifdec IN OUT.png"
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JPEG XL; convert it: djxl IN OUT.png"
    if data.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG 2000; convert it: opj_decompress -i IN -o OUT.png"
    if data.startswith(b"8BPS"):
        return "a Photoshop file; export it as JPEG or PNG"
    return ""


def is_raw(name: str) -> bool:
    """Return whether a file name is that of a camera's raw data, whose preview may be tiny."""
    return name.lower().endswith(_RAW_SUFFIXES)
