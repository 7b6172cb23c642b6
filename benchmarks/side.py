"""One side of a measurement, in a process of its own: it has the settings, threads and memory that its users have.

The library holds freed memory, forbids some kernels and keeps OpenCV to one thread; a peer in the same
process would be measured with all that.

    python -m benchmarks.side FUNCTION '{"setting": value}'

FUNCTION (`ours.crop`, `peers.crop_loop`) takes the settings, prepares, and returns what is measured: a
function that returns {"photos": how many, ...}. For each line on its input, {} or what to call it with,
the process runs it once and answers with a line.
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
_POLL = 0.01  # seconds between two looks at the memory


class NotMeasured(RuntimeError):
    """A row can't be: a side raised, ended or took too long, or the machine does not tell what is asked; says which."""


def anonymous(pid: int | str = "self") -> int:
    """Anonymous memory of a process now, bytes: without what is mapped from files; 0 where /proc doesn't tell."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(
                (int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon")), 0
            )
    except OSError:
        return 0


class Side:
    """A running side.

    Args:
        function: module and function of this package, e.g. `ours.crop`.
        device: cpu or cuda; with cpu the process sees no GPU.
        seconds: after so many a turn has failed.
        settings: what the function takes; it goes through JSON.
    """

    def __init__(self, function: str, device: str, seconds: float, **settings):
        self.function, self.seconds, self._read, self.peak = function, seconds, b"", 0
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        command = [sys.executable, "-m", "benchmarks.side", function, json.dumps(settings)]
        self.process = subprocess.Popen(
            command,
            cwd=REPO,
            env={**os.environ, "TQDM_DISABLE": "1", **hidden},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # its loader workers are ended with it
        )

    def __enter__(self) -> "Side":
        try:
            self._answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def turn(self, **how) -> Turn:
        """Run once; `peak` is then the most anonymous memory that was seen while it ran, bytes."""
        self.peak = 0
        try:
            self.process.stdin.write(json.dumps(how).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise NotMeasured(f"{self.function} has ended") from None
        told = self._answer()
        return Turn(told["seconds"], told["facts"].pop("photos"), told["facts"])

    def _answer(self) -> dict:
        end = time.monotonic() + self.seconds
        while b"\n" not in self._read:
            if time.monotonic() > end:
                raise NotMeasured(
                    f"{self.function} did not answer within {self.seconds / 60:.0f} minutes; --minutes"
                )
            self.peak = max(self.peak, anonymous(self.process.pid))
            if select.select([self.process.stdout], [], [], _POLL)[0]:
                part = os.read(self.process.stdout.fileno(), 2**16)
                if not part:
                    raise NotMeasured(
                        f"{self.function} ended with status {self.process.wait()}, see above"
                    )
                self._read += part
        line, self._read = self._read.split(b"\n", 1)
        told = json.loads(line)
        if "error" in told:
            raise NotMeasured(f"{self.function}: {told['error']}")
        return told


def main(function: str, settings: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a side prints is no answer
    try:
        module, name = function.split(".")
        run = getattr(importlib.import_module(f"benchmarks.{module}"), name)(**json.loads(settings))
        answers.write("{}\n")
        for line in sys.stdin:
            how, started = json.loads(line), time.perf_counter()
            facts = run(**how)
            _wait_for_gpu()
            answers.write(
                json.dumps({"seconds": time.perf_counter() - started, "facts": facts}) + "\n"
            )
    except Exception as error:
        traceback.print_exc()
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")


def _wait_for_gpu() -> None:
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main(*sys.argv[1:])
