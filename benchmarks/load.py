"""Send many prediction requests to a server at once, and count what comes back."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

_BOUNDARY = "portrait18"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


class Load(NamedTuple):
    """What became of a number of requests.

    Attributes:
        latencies: Seconds of each successful request, float (N,).
        failed: Requests that were refused or broken off, or whose response is not one photo's.
        seconds: Time from the first request to the last response.
    """

    latencies: np.ndarray
    failed: int
    seconds: float


def form(photo: bytes) -> bytes:
    """Return the body of a request with one photo."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="photo"\r\n\r\n'
    )
    return head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


def send(address: str, bodies: list[bytes], requests: int, clients: int) -> Load:
    """Send requests from several clients at a time.

    Args:
        address: URL of the server.
        bodies: Bodies of the requests, from `form`; they repeat.
        requests: Number of requests.
        clients: Number of clients. Each has a thread and a connection, and sends its next request
            as soon as it has the last response.
    """
    host = urlsplit(address).netloc

    def run_client(number: int) -> list[float | None]:
        connection = http.client.HTTPConnection(host, timeout=60)
        latencies: list[float | None] = []
        for i in range(number, requests, clients):
            start = time.perf_counter()
            try:
                connection.request("POST", "/predict", bodies[i % len(bodies)], _HEADERS)
                response = connection.getresponse()
                content = response.read()
                succeeded = response.status == 200 and content.count(b'"faces":') == 1
            except (OSError, http.client.HTTPException):
                connection.close()
                succeeded = False
            latencies.append(time.perf_counter() - start if succeeded else None)
        connection.close()
        return latencies

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        all_latencies = [s for part in pool.map(run_client, range(clients)) for s in part]
    latencies = np.array([s for s in all_latencies if s is not None])
    return Load(latencies, len(all_latencies) - len(latencies), time.perf_counter() - start)
