"""A stand-in for a bundle whose answers can be told from a photo's color, and a server of it."""

import asyncio
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import uvicorn
from PIL import Image

from portrait18.cropping.faces import Face
from portrait18.dataset.classes import decode, joint
from portrait18.deployment.results import (
    CropPredictions,
    Detection,
    FacePrediction,
    group_by_photo,
)
from portrait18.server.app import create_app
from portrait18.server.command import configured
from portrait18.server.settings import Settings

SIZE = 8


def png(
    red: int = 0, faces: int = 1, width: int = 60, height: int = 80, kind: str = "PNG"
) -> bytes:
    """A photo whose red tells the class and whose green the number of faces."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (red, 40 * faces, 0)).save(out, kind)
    return out.getvalue()


def breaking() -> bytes:
    """A photo that the stand-in fails at."""
    out = io.BytesIO()
    Image.new("RGB", (30, 30), (0, 0, 255)).save(out, "PNG")
    return out.getvalue()


class StandIn:
    """Finds `green / 40` faces beside one another; answers class `red % 18` for each.

    Blue 255 makes it fail. While `gate` is clear, its work stands still.
    """

    def __init__(self):
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def detect(self, photos: list[np.ndarray]) -> list[list[Detection]]:
        self.batches.append(len(photos))
        self.threads.add(threading.current_thread().name)
        self.started.set()
        assert self.gate.wait(20)
        found = []
        for photo in photos:
            red, green, blue = (int(v) for v in photo[0, 0])
            if blue == 255:
                raise RuntimeError("this photo breaks the networks")
            height, width = photo.shape[:2]
            count = round(green / 40)
            side = width / max(count, 1)
            crop = np.full((SIZE, SIZE, 3), red, np.uint8)
            found.append(
                [
                    Detection(
                        Face(i * side, height / 4, (i + 1) * side, height / 2, 0.0, 0.9),
                        "mtcnn",
                        crop,
                    )
                    for i in range(count)
                ]
            )
        return found

    def predict_faces(self, detections: list[list[Detection]]) -> list[list[FacePrediction]]:
        reds = [int(face.crop[0, 0, 0]) for photo in detections for face in photo]
        class_ids = np.array(reds, np.int64) % 18

        def probabilities(index: np.ndarray, count: int) -> np.ndarray:
            certain = np.eye(count)[index]
            return 0.75 * certain + 0.25 * (1 - certain) / (count - 1)

        parts = {
            name: probabilities(index, 2 if name == "gender" else 3)
            for name, index in decode(class_ids).items()
        }
        predictions = CropPredictions(
            **parts, joint=joint(**parts), years=20.0 + np.array(reds), class_ids=class_ids
        )
        return group_by_photo(detections, predictions)


@contextmanager
def serving(ensemble=None, **changes) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address."""
    app = create_app(ensemble or StandIn(), Settings(**changes))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configured(app))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    address = "http://{}:{}".format(*listening.getsockname())
    try:
        while True:
            try:
                httpx.get(f"{address}/health", timeout=10)
                break
            except httpx.ConnectError:
                assert thread.is_alive()
        yield address
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def post(address: str, *photos: bytes, **options) -> httpx.Response:
    files = [("photos", (f"{i}.png", photo)) for i, photo in enumerate(photos)]
    return httpx.post(f"{address}/predict", files=files, timeout=30, **options)


def metric(address: str, line: str) -> float:
    text = httpx.get(f"{address}/metrics", timeout=30).text
    return float((re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE) or [0, 0])[1])


def wait_until(so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


def problem(reply: httpx.Response) -> dict:
    """A refusal's body, which has one shape."""
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert set(told) == {"type", "title", "status", "detail", "photos"}
    assert told["status"] == reply.status_code
    assert told["detail"]
    assert told["title"]
    return told
