"""Malformed request bodies, by number: each of 13 kinds breaks something else."""

import random

from fake import png

BOUNDARY = "portrait18"
_KIND = f"multipart/form-data; boundary={BOUNDARY}"


def form(*photos: bytes, disposition: str = 'form-data; name="photos"; filename="a.jpg"') -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n".encode()
    head += b"Content-Type: image/jpeg\r\n\r\n"
    return b"".join(head + photo + b"\r\n" for photo in photos) + f"--{BOUNDARY}--\r\n".encode()


def malformed(number: int) -> tuple[str | None, bytes]:
    """A content type and a body, reproducible by number."""
    rng = random.Random(number)
    photo = png(
        rng.randrange(256),
        kind=rng.choice(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]),
        width=100,
        height=90,
    )
    cut = photo[: rng.randrange(len(photo) // 2)]
    noise = rng.randbytes(rng.randrange(2000))
    return [
        lambda: (_KIND, noise),
        lambda: (_KIND, form(noise)),
        lambda: (_KIND, form(cut)),
        lambda: (
            _KIND,
            form(photo[: rng.randrange(4, 30)] + noise),
        ),  # a photo's first bytes, then noise
        lambda: (_KIND, form(photo)[: -rng.randrange(3, len(photo))]),
        lambda: (
            _KIND,
            form(
                photo,
                disposition=f'form-data; name="{rng.choice(["file", "photo", "", "photos[]"])}"',
            ),
        ),
        lambda: (
            _KIND,
            form(photo, disposition=rng.choice(["", "form-data", "attachment", ";;;", '"'])),
        ),
        lambda: (
            rng.choice(
                [None, "", "image/jpeg", "text/plain", "application/json", "multipart/mixed"]
            ),
            form(photo),
        ),
        lambda: (
            rng.choice(["multipart/form-data", _KIND + "x", "multipart/form-data; boundary="]),
            form(photo),
        ),
        lambda: (
            _KIND,
            form(png(width=rng.randrange(1, 20), height=rng.randrange(1, 2000))),
        ),  # too small for a face
        lambda: (_KIND, form(b"<svg xmlns='http://www.w3.org/2000/svg'/>" * rng.randrange(9))),
        lambda: (_KIND, form(photo).replace(b"\r\n", rng.choice([b"\n", b"\r", b""]))),
        lambda: (_KIND, form(*[photo] * 17)),  # too many
    ][number % 13]()
