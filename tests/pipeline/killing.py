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
GOING_ON = re.compile(r"(?: (train|eval): )?(?:going on|resuming) (?:from photo|after epoch) (\d+)")
EPOCH = re.compile(r"epoch (\d+)/\d+: train loss")


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; an init that is slow to collect the ended ones keeps them listed."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


class Repro:
    """`dvc repro` in a process group of its own, with all that it has said so far."""

    def __init__(self, project, *args: str):
        env = {
            **os.environ,
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        }
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
        """Whether any process of the group still runs."""
        for process in psutil.process_iter():
            with suppress(ProcessLookupError):
                if os.getpgid(process.pid) == self.process.pid and alive(process):
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


def shell_that_stays(path: Path) -> str:
    """A shell for SHELL, which DVC starts its stages by: some become the command they are given, this one waits for it."""
    path.write_text('#!/bin/sh\n/bin/sh "$@"\nexit $?\n')
    path.chmod(0o755)
    return str(path)


def progress(project) -> dict[str, int]:
    """Stage -> photos or epochs that a kill now would leave to go on from; `predict@... train` for one of its sets."""
    found = {}
    for path in (project.root / ".resume").glob("crop-*/rows.jsonl"):
        found[f"crop@{path.parent.name.removeprefix('crop-')}"] = sum(map(len, pieces(path)))
    for path in (project.root / ".resume").glob("predict-*.jsonl"):
        stage, _, which = path.stem.rpartition("-")
        found[f"{stage.replace('-', '@', 1)} {which}"] = sum(
            len(probabilities) for probabilities, _ in pieces(path)
        )
    for path in (project.root / ".resume").glob("[!.]*-*-*.pt"):
        found[f"train@{path.stem}"] = len(torch.load(path, weights_only=True)["history"])
    return {stage: done for stage, done in found.items() if done}


def pieces(journal: Path) -> list:
    """What is behind the first of a journal's whole lines, which says what the work is."""
    whole = journal.read_text().split("\n")[1:-1]
    return [json.loads(line.rpartition(" ")[0]) for line in whole]


def stages_told(output: str) -> list[tuple[str, str]]:
    """(stage, what it said) of each stage that ran, in order."""
    _, *parts = re.split(r"Running stage '([^']*)'", output)
    return list(zip(parts[::2], parts[1::2], strict=True))


def check(output: str, promised: dict[str, int], epochs: Counter, ended: bool) -> None:
    """Hold what a `dvc repro` said against the progress that the one before it left."""
    ran = stages_told(output)
    for n, (stage, said) in enumerate(ran):
        gone_on = {f"{stage} {which}".rstrip(): int(done) for which, done in GOING_ON.findall(said)}
        left = {key: done for key, done in promised.items() if key.split()[0] == stage}
        assert gone_on.items() <= left.items(), f"{stage} went on from {gone_on}, left were {left}"
        if ended or n + 1 < len(ran):
            assert gone_on == left, f"{stage} began anew:\n{said}"
        epochs.update((stage, int(epoch)) for epoch in EPOCH.findall(said))
    twice = [which for which, times in epochs.items() if times > 1]
    assert not twice, f"epochs trained twice after they were said to be done: {twice}"


def broken(output: str) -> bool:
    """Whether DVC was killed while it wrote dvc.lock or its list of locks, which it does not survive by itself."""
    return "dvc.lock' validation failed" in output or "RWLock-file" in output


def repair(project) -> None:
    project.run(sys.executable, str(ROOT / ".dvc/repair.py"))
