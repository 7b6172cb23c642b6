"""A fake predictor whose results follow from a photo's color, and a server that uses it."""

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
from PIL import Image

from portrait18.cropping.faces import Face
from portrait18.deployment.bundle import STARTER, Manifest, TrainingSet
from portrait18.deployment.results import (
    CropPredictions,
    Detection,
    FacePrediction,
    group_by_photo,
)
from portrait18.server.app import create_app
from portrait18.server.command import uvicorn_config
from portrait18.server.draining import DrainingServer
from portrait18.server.model_card import model_card
from portrait18.server.settings import Settings

SIZE = 8
#: Content of bundle.json of the starter model, with scores of its own.
MANIFEST = Manifest.model_validate_json((STARTER / "bundle.json").read_text()).model_copy(
    update={
        "training_set": TrainingSet(about="Drawn people", people=36, photos=252),
        "metrics": {
            "people": 36,
            "photos": 252,
            "macro_f1": 0.471,
            "accuracy": 0.52,
            "mask": {"macro_f1": 0.924, "accuracy": 0.952, "recall": {"worn": 0.5}},
            "age": {"macro_f1": 0.576, "accuracy": 0.575},
        },
        "notes": "Real masks were not measured.",
    }
)
CARD = model_card(MANIFEST)


def png(
    red: int = 0, faces: int = 1, width: int = 60, height: int = 80, kind: str = "PNG"
) -> bytes:
    """A photo whose red channel encodes the class and whose green channel the number of faces."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (red, 40 * faces, 0)).save(out, kind)
    return out.getvalue()


def failing_photo() -> bytes:
    """A photo on which the fake predictor raises."""
    out = io.BytesIO()
    Image.new("RGB", (30, 30), (0, 0, 255)).save(out, "PNG")
    return out.getvalue()


class FakePredictor:
    """Finds `green / 40` faces side by side and predicts class `red % 18` for each.

    It raises on blue 255, and blocks while `unblocked` is clear.
    """

    def __init__(self):
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.unblocked = threading.Event()
        self.unblocked.set()
        self.started = threading.Event()

    def detect(self, photos: list[np.ndarray]) -> list[list[Detection]]:
        self.batches.append(len(photos))
        self.threads.add(threading.current_thread().name)
        self.started.set()
        assert self.unblocked.wait(60)
        return [self._faces(photo) for photo in photos]

    def _faces(self, photo: np.ndarray) -> list[Detection]:
        red, green, blue = (int(v) for v in photo[0, 0])
        if blue == 255:
            raise RuntimeError("this photo breaks the networks")
        height, width = photo.shape[:2]
        count = round(green / 40)
        side = width / max(count, 1)
        crop = np.full((SIZE, SIZE, 3), red, np.uint8)
        return [
            Detection(
                Face(i * side, height / 4, (i + 1) * side, height / 2, 0.0, 0.9), "mtcnn", crop
            )
            for i in range(count)
        ]

    def predict_faces(self, detections: list[list[Detection]]) -> list[list[FacePrediction]]:
        reds = np.array(
            [detection.crop[0, 0, 0] for photo in detections for detection in photo], np.int64
        )
        class_ids = reds % 18
        predictions = CropPredictions(
            mask=_probabilities(class_ids // 6, 3),
            gender=_probabilities(class_ids // 3 % 2, 2),
            age=_probabilities(class_ids % 3, 3),
            joint=_probabilities(class_ids, 18),
            years=20.0 + reds,
            class_ids=class_ids,
        )
        return group_by_photo(detections, predictions)


def _probabilities(index: np.ndarray, count: int) -> np.ndarray:
    one_hot = np.eye(count)[index]
    return 0.75 * one_hot + 0.25 * (1 - one_hot) / (count - 1)


@contextmanager
def serving(predictor=None, card=CARD, **settings) -> Iterator[str]:
    """Serve on a free port of loopback; yields the address."""
    chosen = Settings(**settings)
    app = create_app(predictor or FakePredictor(), chosen, card)
    listener = socket.create_server(("127.0.0.1", 0))
    server = DrainingServer(uvicorn_config(app, chosen), app)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    address = "http://{}:{}".format(*listener.getsockname())
    try:
        # Not a request: its log line would follow the response, into the test's own lines.
        wait_until(lambda: server.started)
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


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def problem(response: httpx.Response) -> dict:
    """The body of an error response; asserts that it is complete problem details."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "photos"}
    assert body["status"] == response.status_code
    assert body["detail"]
    assert body["title"]
    return body
