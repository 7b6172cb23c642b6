"""Run one side of a measurement in its own process, with its users' settings, threads and memory.

The library keeps freed memory, forbids some kernels and limits OpenCV to one thread. A peer in the
same process would be measured with all of that.

    python -m benchmarks.side FUNCTION '{"setting": value}'

FUNCTION (`ours.crop`, `peers.crop_loop`) takes the settings, prepares, and returns the function to
measure, which returns {"photos": number, ...}. For each line on its input, a JSON object with
keyword arguments, the process runs that function once and prints a line with its seconds and facts.
"""

import importlib
import json
import os
import select
import subprocess
import sys
import time
import traceback
from pathlib import Path

from benchmarks.paired import Turn

REPO = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.01  # between two readings of the memory


class MeasurementError(RuntimeError):
    """A row could not be measured: a side failed or timed out, or the machine lacks something."""


def anonymous_memory(pid: int | str = "self") -> int:
    """Return a process's anonymous memory (no mapped files) in bytes; 0 without /proc."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(
                (int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon")), 0
            )
    except OSError:
        return 0


def hide_gpu(device: str) -> dict[str, str]:
    """Return the environment variables that hide the GPU if `device` is "cpu"."""
    return {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}


class Side:
    """A running side. Use it as a context manager.

    Args:
        function: Module and function of this package, e.g. `ours.crop`.
        device: "cpu" or "cuda"; with "cpu" the process sees no GPU.
        seconds: Time limit for a turn.
        settings: Arguments of the function; they must be JSON-serializable.

    Attributes:
        peak: Highest anonymous memory during the last turn, bytes.
    """

    def __init__(self, function: str, device: str, seconds: float, **settings):
        self.function, self.seconds, self._buffer, self.peak = function, seconds, b"", 0
        command = [sys.executable, "-m", "benchmarks.side", function, json.dumps(settings)]
        self.process = subprocess.Popen(
            command,
            cwd=REPO,
            env={**os.environ, "TQDM_DISABLE": "1", **hide_gpu(device)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that close() also ends its loader workers
        )

    def __enter__(self) -> "Side":
        try:
            self._receive()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """End the process and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def turn(self, **kwargs) -> Turn:
        """Run the function once with these arguments."""
        self.peak = 0
        try:
            self.process.stdin.write(json.dumps(kwargs).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise MeasurementError(f"{self.function} has ended") from None
        reply = self._receive()
        return Turn(reply["seconds"], reply["facts"].pop("photos"), reply["facts"])

    def _receive(self) -> dict:
        deadline = time.monotonic() + self.seconds
        while b"\n" not in self._buffer:
            if time.monotonic() > deadline:
                raise MeasurementError(
                    f"{self.function} did not finish within {self.seconds / 60:g} minutes; "
                    "allow more with --minutes"
                )
            self.peak = max(self.peak, anonymous_memory(self.process.pid))
            if select.select([self.process.stdout], [], [], _POLL_SECONDS)[0]:
                part = os.read(self.process.stdout.fileno(), 2**16)
                if not part:
                    raise MeasurementError(
                        f"{self.function} exited with status {self.process.wait()}, see above"
                    )
                self._buffer += part
        line, self._buffer = self._buffer.split(b"\n", 1)
        reply = json.loads(line)
        if "error" in reply:
            raise MeasurementError(f"{self.function}: {reply['error']}")
        return reply


def main(function: str, settings: str) -> None:
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the side prints goes to stderr and does not mix with replies
    try:
        module, name = function.split(".")
        run = getattr(importlib.import_module(f"benchmarks.{module}"), name)(**json.loads(settings))
        replies.write("{}\n")
        for line in sys.stdin:
            kwargs, start = json.loads(line), time.perf_counter()
            facts = run(**kwargs)
            _wait_for_gpu()
            replies.write(
                json.dumps({"seconds": time.perf_counter() - start, "facts": facts}) + "\n"
            )
    except Exception as error:
        traceback.print_exc()
        replies.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")


def _wait_for_gpu() -> None:
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(*sys.argv[1:])
