import json
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from synthetic import REPO
from tiny import demo_photo

import portrait18
from portrait18.core.errors import UserError
from portrait18.server.command import bind

PHOTO = REPO / "data/demo/train/images/000018_male_Asian_64/normal.jpg"


def serve(*flags: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "portrait18", "serve", *flags]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes, **options)


def test_the_server_predicts_like_the_bundle_and_stops_on_sigterm(make_bundle):
    folder = make_bundle()
    with serve("--port", "0", "--bundle", str(folder)) as server:
        try:
            line = server.stdout.readline()
            address = re.match(r"http://127\.0\.0\.1:\d+", line)[0]
            with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
                response = client.post(
                    f"{address}/predict", files={"photos": PHOTO.read_bytes()}, timeout=60
                )
                health = client.get(f"{address}/health").json()
        finally:
            server.send_signal(signal.SIGTERM)
            _, err = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "Traceback" not in err
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["path"] for line in lines if line["message"] == "request"][:1] == ["/predict"]
    assert [line["message"] for line in lines[-2:]] == ["stopping", "stopped"]
    model = health["model"]
    assert (health["status"], model["networks"], model["training_people"]) == ("ok", 5, 2)
    assert model["description"] == portrait18.load(folder, "cpu").manifest.description()
    assert model["validation"] == {"all": 0.5}
    (expected,) = portrait18.load(folder, "cpu").predict(demo_photo()).faces
    expected = expected.to_dict()
    (face,) = response.json()["photos"][0]["faces"]
    assert face["box"] == pytest.approx(expected["box"], abs=0.5)
    assert face["class"] == expected["class"]
    for task in ("mask", "gender", "age"):
        assert face[task]["probabilities"] == pytest.approx(
            expected[task]["probabilities"], abs=1e-3
        )


def test_a_missing_bundle_is_reported_with_the_commands_that_create_one(tmp_path):
    (tmp_path / "models/bundle").mkdir(parents=True)
    for arguments, folder in (([], "models/bundle"), (["--bundle", "other"], "other")):
        with serve("--port", "0", *arguments, cwd=tmp_path) as server:
            out, err = server.communicate(timeout=120)
        assert (server.returncode, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"error: {folder} holds no bundle; run dvc repro export, ")


def test_a_port_in_use_is_reported():
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(
            UserError,
            match=r"can't listen at 127.0.0.1 port \d+ \(.+\); set another --host or --port",
        ),
    ):
        bind("127.0.0.1", other.getsockname()[1])


def test_the_socket_is_bound_to_the_requested_address_only():
    with bind("127.0.0.1", 0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UserError, match=r"can't listen at no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 80)
    with pytest.raises(UserError, match=r"can't listen at 127\.0\.\.1 port 80"):
        bind("127.0..1", 80)


def test_the_port_is_reserved_before_the_networks_load():
    with bind("127.0.0.1", 0) as listening, pytest.raises(UserError, match="can't listen"):
        bind("127.0.0.1", listening.getsockname()[1])
