"""Who is answered, and what is kept of a photo: nothing."""

import logging
import re
import sys

import httpx
import pytest
from standin import png, post, problem, serving

from portrait18.server.middleware import HEADERS


def test_with_a_key_only_its_holder_is_answered_and_counted_for():
    with serving(api_key="key~1") as address:
        wrong = ("Bearer wrong", "Bearer käse", "Bearer key~1x", "Basic key~1")
        for sent in ({}, *({"Authorization": text} for text in wrong), {"X-API-Key": "key~1"}):
            headers = {name: value.encode() for name, value in sent.items()}
            for reply in (
                post(address, png(), headers=headers),
                httpx.get(f"{address}/metrics", headers=headers),
            ):
                assert reply.status_code == 401
                assert reply.headers["www-authenticate"] == "Bearer"
                problem(reply)
        right = {"Authorization": "Bearer key~1"}
        assert post(address, png(), headers=right).status_code == 200
        assert httpx.get(f"{address}/metrics", headers=right).status_code == 200
        assert httpx.get(f"{address}/health").json()["needs_key"] is True
        assert httpx.get(address).status_code == 200
        # Without the key not even the body is looked at.
        assert httpx.post(f"{address}/predict", content=b"x").status_code == 401


def test_photos_and_their_names_are_neither_written_nor_logged(address, caplog):
    caplog.set_level(logging.DEBUG)
    written = []

    def watch(event: str, args: tuple) -> None:
        if (
            event == "open"
            and watching
            and (re.search("[wax+]", str(args[1] or "")) or (args[2] or 0) & 3)
        ):
            written.append(args)

    sys.addaudithook(watch)  # never to be removed: `watching` ends it
    watching = True
    large = png(3, width=900, height=900, kind="BMP")
    assert len(large) > 2_000_000  # what form parsers put on the disk
    files = [("photos", ("secret-name.png", large))]
    assert httpx.post(f"{address}/predict?secret=1", files=files).status_code == 200
    assert (
        httpx.post(
            f"{address}/predict", files=[("photos", ("secret-name.png", b"secret"))]
        ).status_code
        == 422
    )
    assert httpx.get(f"{address}/secret-name.png").status_code == 404
    for body in (b"secret", b"--xx\r\nsecret : x\r\n\r\n", b"--xx\r\n\r\nsecret\r\n--xx--secret"):
        kind = {"Content-Type": "multipart/form-data; boundary=xx"}
        assert httpx.post(f"{address}/predict", content=body, headers=kind).status_code == 400
    watching = False
    assert written == []
    records = [
        each for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))
    ]  # the client's
    assert [
        each.getMessage() for each in records if re.search("secret|'s'", each.getMessage())
    ] == []
    lines = [each.getMessage() for each in records if each.levelno >= logging.INFO]
    assert [re.sub(r"\d+ ms", "_ ms", line) for line in lines] == [
        "POST /predict 200 _ ms",
        "POST /predict 422 _ ms",
        "GET (unknown) 404 _ ms",
        *["POST /predict 400 _ ms"] * 3,
    ]


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/script.js", "/health", "/openapi.json", "/nowhere", "/predict"]
)
def test_every_reply_has_the_headers_that_keep_the_page_to_itself(address, path):
    reply = httpx.get(address + path)
    for name, value in HEADERS.items():
        assert reply.headers[name] == value
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] in ("no-store", "no-cache")
    if reply.status_code >= 400:
        problem(reply)
