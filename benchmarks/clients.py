"""Measure the server under 1, 2 and 4 times the clients, and print a table of Markdown.

    python -m benchmarks.clients                       models/bundle; 16, 32 and 64 clients
    python -m benchmarks.clients --bundle portrait18/starter --clients 32 --requests 200

Each client has one request in flight and repeats it after a 503, as the web page does. Latencies
include waits and repetitions. The server has its default limits; it refuses requests above 64 in
progress. The load average is that of the minute before the measurement: other programs.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import baseline, inputs
from benchmarks.load import Load, form, send
from benchmarks.rows import Bench
from benchmarks.serving import CLIENTS, server
from benchmarks.side import REPO
from portrait18.core.errors import UserError, cli_errors

FACTORS = (1, 2, 4)
TRIES = 60  # with waits of one second: a client gives up after a minute


@dataclass(frozen=True)
class Level:
    """What a number of clients got."""

    clients: int
    load: Load

    def cells(self) -> list[str]:
        """Return the cells of the level's row."""
        latencies, load = self.load.latencies, self.load
        p50, p99 = np.percentile(latencies, (50, 99)) if len(latencies) else (np.nan, np.nan)
        return [
            f"{self.clients}",
            f"{len(latencies) / load.seconds:.1f}",
            f"{p50:.2f} s",
            f"{p99:.2f} s",
            f"{load.failed} of {len(latencies) + load.failed:,}",
            f"{load.retries}",
        ]


HEADER = ["clients", "requests per second", "p50", "p99", "failed", "repeated after a 503"]


def measure(address: str, bodies: list[bytes], clients: int, requests: int) -> list[Level]:
    """Send the same number of requests from 1, 2 and 4 times the clients."""
    send(address, bodies, min(requests, clients), clients, TRIES)  # warm-up
    levels = []
    for count in (factor * clients for factor in FACTORS):
        levels.append(Level(count, send(address, bodies, requests, count, TRIES)))
        print(" ".join(levels[-1].cells()), file=sys.stderr, flush=True)
    return levels


def table(levels: list[Level]) -> str:
    """Return the levels as a table of Markdown."""
    rows = [HEADER, ["---"] * len(HEADER), *(level.cells() for level in levels)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--bundle", type=Path, default=Path("models/bundle"), help="trained ensemble to serve")
    add("--data", type=Path, default=REPO / "data/demo", help="folder of a data set")
    add("--clients", type=int, default=CLIENTS, help=f"default: {CLIENTS}")
    add("--requests", type=int, default=256, help="for each number of clients; default: 256")
    args = parser.parse_args(argv)
    for name in ("clients", "requests"):
        if (value := getattr(args, name)) < 1:
            raise UserError(f"--{name} {value} must be 1 or more")
    return args


@cli_errors
def main(argv: list[str] | None = None) -> None:
    args = _arguments(argv)
    inputs.validate(args.data)
    with tempfile.TemporaryDirectory(prefix="portrait18-clients-") as folder:
        bench = Bench(
            data=args.data,
            photos=256,
            rounds=1,
            device="cpu",
            num_workers=0,
            minutes=10,
            folder=Path(folder),
            params=baseline.load(),
            bundle=args.bundle.absolute(),
        )
        paths = inputs.paths(inputs.photos(bench, min(args.requests, bench.photos)))
        bodies = [form(Path(path).read_bytes()) for path in paths]
        busy = os.getloadavg()[0]
        with server(bench) as served:
            levels = measure(served.address, bodies, args.clients, args.requests)
    print(table(levels))
    print(f"\n{served.networks} networks, load average before: {busy:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
