"""The systemd unit and the nginx configuration of docs/serving.md work."""

import io
import json
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from fake import png, post, serving, wait_until
from PIL import Image
from synthetic import REPO

from portrait18.server.command import KEEP_ALIVE_SECONDS, SEND_SECONDS
from portrait18.server.draining import IDLE_SECONDS
from portrait18.server.settings import Settings

PAGE = (REPO / "docs/serving.md").read_text()
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def example(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found


def nginx_value(name: str) -> str:
    (value,) = re.findall(rf"^ *{name} (.*?);", example("nginx"), re.MULTILINE)
    return value


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    unit = tmp_path / "portrait18.service"
    command = "/opt/portrait18/.venv/bin/portrait18"
    assert command in example("ini")

    def messages(text: str) -> str:
        unit.write_text(text.replace(command, sys.executable))
        run = subprocess.run([SYSTEMD_ANALYZE, "verify", unit], capture_output=True, text=True)
        return run.stdout + run.stderr

    assert messages(example("ini")) == ""
    assert "Unknown key" in messages(example("ini").replace("TimeoutStopSec", "TimeoutStopSecs"))


def test_systemd_waits_until_the_server_has_answered_what_it_accepted():
    (limit,) = re.findall(r"^TimeoutStopSec=(\d+)$", example("ini"), re.MULTILINE)
    settings = Settings()
    longest = settings.upload_timeout_s + settings.timeout_s + SEND_SECONDS + IDLE_SECONDS
    assert longest <= int(limit) <= longest + 10


def test_the_proxys_limits_fit_the_servers():
    settings = Settings()
    assert nginx_value("client_max_body_size") == f"{settings.max_bytes // 2**20}m"
    assert nginx_value("client_body_buffer_size") == nginx_value("client_max_body_size")
    assert seconds(nginx_value("proxy_read_timeout")) > settings.timeout_s
    assert KEEP_ALIVE_SECONDS > 60  # nginx's keepalive_timeout of an upstream, by default


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def nginx(folder, upstream: str):
    """nginx with the example, without HTTPS, on a free port; yields its address."""
    port = free_port()
    text = example("nginx").replace("127.0.0.1:8000", upstream.removeprefix("http://"))
    text = text.replace("443 ssl;", f"127.0.0.1:{port};")
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    main = f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors;\n"
    config = folder / "nginx.conf"
    config.write_text(f"{main}events {{}}\nhttp {{\n{paths}{text}}}\n")
    with subprocess.Popen([NGINX, "-p", folder, "-c", config]) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _answers(address, process))
            yield address
        finally:
            process.terminate()


def _answers(address: str, process: subprocess.Popen) -> bool:
    assert process.poll() is None
    try:
        return httpx.get(f"{address}/health", timeout=30).status_code == 200
    except httpx.ConnectError:
        return False


def phone_photo() -> bytes:
    """A JPEG of 50 megapixels with the noise of a phone's camera."""
    noise = np.random.default_rng(0).integers(0, 90, (612, 816, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.tile(noise, (10, 10, 1))).save(out, "JPEG", quality=85)
    return out.getvalue()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_phone_photo_of_50_megapixels_passes_the_proxy_and_stays_in_memory(tmp_path, caplog):
    caplog.set_level("INFO")
    photo = phone_photo()
    assert 15e6 < len(photo) < 30e6
    with serving() as upstream, nginx(tmp_path, upstream) as address:
        response = post(address, photo)
        assert response.status_code == 200
        assert response.json()["photos"][0]["width"] in (8160, 4080)
        too_large = httpx.post(f"{address}/predict", content=bytes(33 * 2**20), timeout=30)
        assert too_large.status_code == 413
        assert post(address, png()).status_code == 200
        identifier = response.headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", identifier)
        logged = [getattr(record, "fields", {}) for record in caplog.records]
        (line,) = [fields for fields in logged if fields.get("request_id") == identifier]
        assert (line["path"], line["status"]) == ("/predict", 200)
    assert list((tmp_path / "client_body").iterdir()) == []
    errors = (tmp_path / "errors").read_text()
    assert "buffered to a temporary file" not in errors


def test_a_request_keeps_the_id_of_a_proxy_unless_it_may_hold_personal_data(address):
    for sent, kept in (
        ("0123456789abcdef0123456789abcdef", True),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", True),
        ("photo-of-jane@example.org", False),
        ("+4915112345678", False),
    ):
        response = httpx.get(f"{address}/health", headers={"X-Request-ID": sent})
        assert (response.headers["x-request-id"] == sent) == kept
        assert len(response.headers["x-request-id"]) in (32, 36)


def test_the_log_line_of_the_page_has_the_fields_of_the_servers(own_address, caplog):
    from portrait18.server.logs import JsonFormatter

    caplog.set_level("INFO")
    httpx.get(f"{own_address}/health")
    wait_until(lambda: any(hasattr(record, "fields") for record in caplog.records))
    (record,) = [record for record in caplog.records if hasattr(record, "fields")]
    (shown,) = re.findall(r'^({"time".*?})$', PAGE, re.DOTALL | re.MULTILINE)
    line = JsonFormatter().format(record)
    assert list(json.loads(shown.replace("\n", " "))) == list(json.loads(line))
