"""`dvc repro` to send signals to, and what it says held against what was done before."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import torch

ROOT = Path(__file__).resolve().parents[2]
RUNNING = re.compile(r"Running stage '((\w+)[^']*)'")
GOING_ON = re.compile(r"going on (?:from photo|after epoch) (\d+)")
EPOCH = re.compile(r"epoch (\d+)/\d+: train loss")


class Repro:
    """`dvc repro` in a process group of its own, with all that it has said so far."""

    def __init__(self, project, *args: str):
        env = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", *args],
            cwd=project.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell's background commands, these tests may be one, are deaf to Ctrl-C; a terminal's are not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines: list[str] = []
        self.started = self.spoke = time.monotonic()
        self.fresh: queue.Queue = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.spoke = self.spoke if self.lines else time.monotonic()
            self.lines.append(line)
            self.fresh.put(line)
        self.fresh.put(None)

    def wait_for(self, wanted, seconds: float = 1800) -> re.Match | None:
        """What `wanted` finds in the first line that it finds anything in; None if there is none until the end."""
        until = time.monotonic() + seconds
        while (line := self.fresh.get(timeout=max(0.0, until - time.monotonic()))) is not None:
            if found := wanted(line):
                return found
        return None

    def said_within(self, wanted, seconds: float) -> bool:
        """Whether a line in which `wanted` finds something, or the end, came within these seconds."""
        try:
            self.wait_for(wanted, seconds)
        except queue.Empty:
            return False
        return True

    @property
    def seconds_to_speak(self) -> float:
        """Until its first line: how slow this machine is just now."""
        return self.spoke - self.started

    def alive(self) -> bool:
        """Whether any process of the group still runs; an init that is slow to collect the ended ones keeps them listed."""
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getpgid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    return True
        return False

    def end(self, number: int) -> None:
        """Send a signal to the whole group and wait until all of it has gone."""
        if self.alive():
            os.killpg(self.process.pid, number)
        self.process.wait()
        self.reader.join()

    def told(self) -> str:
        return "".join(self.lines)


def progress(project) -> dict[str, int]:
    """Stage -> photos or epochs that a kill now would leave to go on from."""
    found = {}
    for path in (project.root / ".resume").glob("crop-*/rows.jsonl"):
        whole = path.read_text().split("\n")[1:-1]
        pieces = [json.loads(line.rpartition(" ")[0]) for line in whole]
        found[f"crop@{path.parent.name.removeprefix('crop-')}"] = sum(map(len, pieces))
    for path in (project.root / ".resume").glob("[!.]*-*-*.pt"):
        found[f"train@{path.stem}"] = len(torch.load(path, weights_only=True)["history"])
    return {stage: done for stage, done in found.items() if done}


def stages_told(output: str) -> list[tuple[str, str]]:
    """(stage, what it said) of each stage that ran, in order."""
    _, *parts = re.split(r"Running stage '([^']*)'", output)
    return list(zip(parts[::2], parts[1::2], strict=True))


def check(output: str, promised: dict[str, int], epochs: Counter, ended: bool) -> None:
    """Hold what a `dvc repro` said against the progress that the one before it left."""
    ran = stages_told(output)
    for n, (stage, said) in enumerate(ran):
        going_on = GOING_ON.search(said)
        if going_on and not stage.startswith("predict"):
            assert int(going_on[1]) == promised.get(stage), f"{stage} went on from elsewhere"
        elif stage in promised and (ended or n + 1 < len(ran)):
            raise AssertionError(f"{stage} began anew, though {promised[stage]} were done:\n{said}")
        epochs.update((stage, int(epoch)) for epoch in EPOCH.findall(said))
    twice = [which for which, times in epochs.items() if times > 1]
    assert not twice, f"epochs trained twice after they were said to be done: {twice}"


def broken(output: str) -> bool:
    """Whether DVC was killed while it wrote dvc.lock or its list of locks, which it does not survive by itself."""
    return "dvc.lock' validation failed" in output or "RWLock-file" in output


def mend(project) -> None:
    project.run(sys.executable, str(ROOT / ".dvc/mend.py"))
