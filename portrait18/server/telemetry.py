"""What /metrics tells, in Prometheus' words; nothing of it is about what the photos show."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # a line beside each counter and histogram that nobody asks for

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
PHASES = ("upload", "decode", "wait", "detect", "answer")


class Telemetry:
    """The counters of one server."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = self._counter(
            "requests", "Requests, by route and status", ["method", "path", "status"]
        )
        self.photos = self._counter("photos", "Photos answered")
        self.faces = self._counter("faces", "Faces found in them")
        self.waiting = Gauge(
            "portrait18_waiting_photos", "Photos in the queue", registry=self.registry
        )
        self.batches = self._histogram("batch_photos", "Photos worked on together", [], _COUNTS)
        self.seconds = self._histogram(
            "request_seconds", "Seconds to answer a request", ["path"], _SECONDS
        )
        self.phases = self._histogram("phase_seconds", "Seconds in a phase", ["phase"], _SECONDS)
        for phase in PHASES:
            self.phases.labels(phase)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"portrait18_{name}", text, labels or [], registry=self.registry)

    def _histogram(self, name: str, text: str, labels: list[str], buckets: tuple) -> Histogram:
        return Histogram(
            f"portrait18_{name}", text, labels, buckets=buckets, registry=self.registry
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block that ends well."""
        since = time.perf_counter()
        yield
        self.phases.labels(name).observe(time.perf_counter() - since)

    def text(self) -> bytes:
        return generate_latest(self.registry)
