"""The API key, security headers, and that nothing of a photo is stored or logged."""

import json
import logging
import re
import sys

import httpx
import pytest
from fake import png, post, problem, serving, wait_until

from portrait18.server.logs import JsonFormatter
from portrait18.server.middleware import HEADERS


def test_predict_and_metrics_require_the_key():
    with serving(api_key="key~1") as address:
        wrong = ("Bearer wrong", "Bearer käse", "Bearer key~1x", "Basic key~1")
        for sent in ({}, *({"Authorization": text} for text in wrong), {"X-API-Key": "key~1"}):
            headers = {name: value.encode() for name, value in sent.items()}
            for response in (
                post(address, png(), headers=headers),
                httpx.get(f"{address}/metrics", headers=headers),
            ):
                assert response.status_code == 401
                assert response.headers["www-authenticate"] == "Bearer"
                problem(response)
        right = {"Authorization": "Bearer key~1"}
        assert post(address, png(), headers=right).status_code == 200
        assert httpx.get(f"{address}/metrics", headers=right).status_code == 200
        assert httpx.get(f"{address}/health").json()["needs_key"] is True
        assert httpx.get(address).status_code == 200
        # The body is not even read without the key.
        assert httpx.post(f"{address}/predict", content=b"x").status_code == 401


def test_photos_and_their_names_are_neither_written_nor_logged(own_address, caplog):
    caplog.set_level(logging.DEBUG)
    written = []

    def watch(event: str, args: tuple) -> None:
        if (
            event == "open"
            and watching
            and (re.search("[wax+]", str(args[1] or "")) or (args[2] or 0) & 3)
        ):
            written.append(args)

    sys.addaudithook(watch)  # hooks cannot be removed: `watching` disables it
    watching = True
    large = png(3, width=900, height=900, kind="BMP")
    assert len(large) > 2_000_000  # form parsers write files this large to disk
    files = [("photos", ("secret-name.png", large))]
    assert httpx.post(f"{own_address}/predict?secret=1", files=files).status_code == 200
    assert (
        httpx.post(
            f"{own_address}/predict", files=[("photos", ("secret-name.png", b"secret"))]
        ).status_code
        == 422
    )
    assert httpx.get(f"{own_address}/secret-name.png").status_code == 404
    for body in (b"secret", b"--xx\r\nsecret : x\r\n\r\n", b"--xx\r\n\r\nsecret\r\n--xx--secret"):
        kind = {"Content-Type": "multipart/form-data; boundary=xx"}
        assert httpx.post(f"{own_address}/predict", content=body, headers=kind).status_code == 400
    watching = False
    assert written == []

    def messages(level: int) -> list[str]:
        """What the server logged; httpx is the test's client."""
        return [
            JsonFormatter().format(record)
            for record in list(caplog.records)
            if record.levelno >= level and not record.name.startswith(("httpx", "httpcore"))
        ]

    wait_until(lambda: len(messages(logging.INFO)) >= 6)  # the line follows the response
    assert [line for line in messages(logging.DEBUG) if re.search("secret|'s'", line)] == []
    lines = [json.loads(line) for line in messages(logging.INFO)]
    fields = ["time", "level", "message", "request_id", "method", "path", "status", "ms"]
    assert all(list(line) == fields for line in lines)
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/predict", 200),
        ("POST", "/predict", 422),
        ("GET", "(unknown)", 404),
        *[("POST", "/predict", 400)] * 3,
    ]


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/static/script.js", "/health", "/openapi.json", "/nowhere", "/predict"]
)
def test_every_response_has_the_security_headers(address, path):
    response = httpx.get(address + path)
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] in ("no-store", "no-cache")
    if response.status_code >= 400:
        problem(response)
