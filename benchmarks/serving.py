"""What the server does in a second: photos of many clients answered together, against one at a time.

    python benchmarks/serving.py                      the demo's bundle and photos
    python benchmarks/serving.py --bundle FOLDER --photos FOLDER

Starts both servers on loopback, gives each in turn the same requests of one photo, and prints for each round
requests a second, the median and the 99th percentile of the seconds that a request took, and how many were lost.
"""

import argparse
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SERVERS = {"together": (), "one at a time": ("--batch", "1", "--wait-ms", "0")}
_BOUNDARY = "portrait18"
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


class Load(NamedTuple):
    """What came of a number of requests."""

    seconds: np.ndarray  # that each answered request took
    lost: int  # refused, broken off, or answered with anything but one photo
    wall: float  # seconds from the first request to the last answer

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.seconds) / self.wall


def body(photo: bytes) -> bytes:
    """A form with one photo."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photos"; filename="photo"\r\n\r\n'
    return head.encode() + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


def load(address: str, bodies: list[bytes], requests: int, clients: int) -> Load:
    """Send requests from so many clients at a time, each on its own connection, as fast as they are answered."""
    host = urlsplit(address).netloc

    def client(number: int) -> list[float | None]:
        connection = http.client.HTTPConnection(host, timeout=60)
        took: list[float | None] = []
        for i in range(number, requests, clients):
            since = time.perf_counter()
            try:
                connection.request("POST", "/predict", bodies[i % len(bodies)], _HEADERS)
                reply = connection.getresponse()
                whole = reply.read()
                answered = reply.status == 200 and whole.count(b'"faces":') == 1
            except (OSError, http.client.HTTPException):
                connection.close()
                answered = False
            took.append(time.perf_counter() - since if answered else None)
        connection.close()
        return took

    since = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        took = [t for of_client in pool.map(client, range(clients)) for t in of_client]
    seconds = np.array([t for t in took if t is not None])
    return Load(seconds, len(took) - len(seconds), time.perf_counter() - since)


@contextmanager
def server(bundle: str, *flags: str) -> Iterator[tuple[str, float]]:
    """A server on a free port: its address, and the seconds until it answered."""
    since = time.perf_counter()
    command = [sys.executable, "-m", "portrait18", "serve", "--port", "0", "--bundle", bundle, *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        try:
            line = run.stdout.readline()
            if not line:
                sys.exit(f"the server did not start: {' '.join(command)}")
            address = line.split()[0]
            while True:
                try:
                    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
                    connection.request("GET", "/health")
                    connection.getresponse()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.02)
            yield address, time.perf_counter() - since
        finally:
            run.terminate()


def row(name: str, clients: int, requests: int, told: Load) -> str:
    p50, p99 = np.percentile(told.seconds, (50, 99)) if len(told.seconds) else (np.nan, np.nan)
    return f"{name:15}{clients:9}{requests:10}{told.rate:12.1f}{p50:8.3f}{p99:8.3f}{told.lost:6}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default=str(ROOT / "models/bundle"))
    parser.add_argument("--photos", type=Path, default=ROOT / "data/demo/eval/images", help="folder of photos to send")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=320, help="for each server and round")
    parser.add_argument("--rounds", type=int, default=3, help="of both servers in turn")
    parser.add_argument("--many", type=int, default=1000, help="requests from 32 clients in the end")
    args = parser.parse_args(argv)
    bodies = [body(path.read_bytes()) for path in sorted(args.photos.iterdir())]
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    lost = 0
    with server(args.bundle, *SERVERS["together"]) as first, server(args.bundle, *SERVERS["one at a time"]) as second:
        print(f"answered {first[1]:.1f} s and {second[1]:.1f} s after the start")
        print(f"{'':15}{'clients':>9}{'requests':>10}{'requests/s':>12}{'p50 s':>8}{'p99 s':>8}{'lost':>6}")
        for _ in range(args.rounds):
            for name, (address, _) in zip(SERVERS, (first, second), strict=True):
                told = load(address, bodies, args.requests, args.clients)
                rates[name].append(told.rate)
                lost += told.lost
                print(row(name, args.clients, args.requests, told), flush=True)
        told = load(first[0], bodies, args.many, 32)
        lost += told.lost
        print(row("together", 32, args.many, told))
    together, alone = (float(np.median(rates[name])) for name in SERVERS)
    print(f"together / one at a time, medians of the rounds: {together / alone:.2f}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
