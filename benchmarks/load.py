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
        retries: Requests that were repeated after a 503; zero unless `send` retries.
    """

    latencies: np.ndarray
    failed: int
    seconds: float
    retries: int = 0


def form(photo: bytes) -> bytes:
    """Return the body of a request with one photo."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="photo"\r\n\r\n'
    )
    return head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


class _Client:
    """A connection that counts what it repeats."""

    def __init__(self, address: str, tries: int):
        self.retries = 0
        self._tries = tries
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)

    def send(self, body: bytes) -> float | None:
        """Return the seconds to a prediction, with waits and repetitions, or None."""
        start = time.perf_counter()
        for n in range(self._tries):
            try:
                self._connection.request("POST", "/predict", body, _HEADERS)
                response = self._connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                return None
            wait = response.getheader("Retry-After")
            if response.status != 503 or wait is None or n == self._tries - 1:
                break
            self.retries += 1
            time.sleep(float(wait))
        succeeded = response.status == 200 and content.count(b'"faces":') == 1
        return time.perf_counter() - start if succeeded else None

    def close(self) -> None:
        self._connection.close()


def send(address: str, bodies: list[bytes], requests: int, clients: int, tries: int = 1) -> Load:
    """Send requests from several clients at a time.

    Args:
        address: URL of the server.
        bodies: Bodies of the requests, from `form`; they repeat.
        requests: Number of requests.
        clients: Number of clients. Each has a thread and a connection, and sends its next request
            as soon as it has the last response.
        tries: Times that a request is sent at most. After a 503, a client waits for the seconds of
            Retry-After.
    """

    def run_client(number: int) -> tuple[list[float | None], int]:
        client = _Client(address, tries)
        bodies_of_client = [bodies[i % len(bodies)] for i in range(number, requests, clients)]
        seconds = [client.send(body) for body in bodies_of_client]
        client.close()
        return seconds, client.retries

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(run_client, range(clients)))
    seconds = [s for part, _ in parts for s in part]
    latencies = np.array([s for s in seconds if s is not None])
    retries = sum(count for _, count in parts)
    return Load(latencies, len(seconds) - len(latencies), time.perf_counter() - start, retries)
