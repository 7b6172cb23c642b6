"""`portrait18 serve` with a fake predictor that is blocked until a line comes on stdin.

python tests/server/blocked_server.py IDLE_SECONDS [flags of portrait18 serve]
"""

import sys
import threading

from fake import MANIFEST, FakePredictor

from portrait18 import cli
from portrait18.server import command, draining


def main(idle_seconds: str, *flags: str) -> int:
    predictor = FakePredictor()
    predictor.unblocked.clear()
    predictor.device = "cpu"
    predictor.manifest = MANIFEST
    command.load = lambda settings: predictor
    draining.IDLE_SECONDS = float(idle_seconds)

    def unblock() -> None:
        sys.stdin.readline()
        predictor.unblocked.set()

    threading.Thread(target=unblock, daemon=True).start()
    return cli.main(["serve", "--port", "0", *flags])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
