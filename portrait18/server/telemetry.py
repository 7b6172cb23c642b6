"""Prometheus metrics of the server; none of them describes what the photos show."""

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

disable_created_metrics()  # one more line per counter and histogram, of no use here

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
PHASES = ("upload", "decode", "wait", "detect", "classify")


class Telemetry:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = self._counter(
            "requests", "Requests by route and status", ["method", "path", "status"]
        )
        self.photos = self._counter("photos", "Photos processed")
        self.faces = self._counter("faces", "Faces found")
        self.waiting = Gauge(
            "portrait18_waiting_photos", "Photos in the queue", registry=self.registry
        )
        self.batches = self._histogram("batch_photos", "Photos per batch", [], _COUNTS)
        self.seconds = self._histogram("request_seconds", "Seconds per request", ["path"], _SECONDS)
        self.phases = self._histogram("phase_seconds", "Seconds per phase", ["phase"], _SECONDS)
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
        """Record the duration of a block, unless it raises."""
        start = time.perf_counter()
        yield
        self.phases.labels(name).observe(time.perf_counter() - start)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
