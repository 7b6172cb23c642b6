"""`dvc repro` as a process to interrupt, and checks of what it resumes."""

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
from synthetic import REPO

RUNNING = re.compile(r"Running stage '((\w+)[^']*)'")
RESUMING = re.compile(r"(?: (\d+-\d+ (?:train|eval)): )?resuming (?:from photo|after epoch) (\d+)")
EPOCH = re.compile(r"epoch (\d+)/\d+: train loss")


def alive(process: psutil.Process) -> bool:
    """Return whether a process still runs; zombies that nobody has reaped do not count."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


class Repro:
    """`dvc repro` in its own process group; `lines` collects its output."""

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
            # A shell's background jobs ignore SIGINT, and these tests may be one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines: list[str] = []
        self.started = self.first_line_at = time.monotonic()
        self.queue: queue.Queue = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.first_line_at = self.first_line_at if self.lines else time.monotonic()
            self.lines.append(line)
            self.queue.put(line)
        self.queue.put(None)

    def wait_for(self, search, seconds: float = 1800) -> re.Match | None:
        """Return the first match of `search` in a new line, or None if the output ends first."""
        deadline = time.monotonic() + seconds
        while (line := self.queue.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            if found := search(line):
                return found
        return None

    def prints_within(self, search, seconds: float) -> bool:
        """Return whether a matching line, or the end of the output, came within these seconds."""
        try:
            self.wait_for(search, seconds)
        except queue.Empty:
            return False
        return True

    @property
    def startup_seconds(self) -> float:
        """Seconds until the first line of output: a measure of how slow the machine is now."""
        return self.first_line_at - self.started

    def alive(self) -> bool:
        """Return whether any process of the group still runs."""
        for process in psutil.process_iter():
            with suppress(ProcessLookupError):
                if os.getpgid(process.pid) == self.process.pid and alive(process):
                    return True
        return False

    def kill(self) -> None:
        """Send SIGKILL to the whole group and wait until it has ended."""
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()

    def output(self) -> str:
        return "".join(self.lines)


def waiting_shell(path: Path) -> str:
    """Write a shell for SHELL, which DVC uses, that stays the parent of its command."""
    path.write_text('#!/bin/sh\n/bin/sh "$@"\nexit $?\n')
    path.chmod(0o755)
    return str(path)


def progress(project) -> dict[str, int]:
    """Return the photos or epochs that each stage could resume from now.

    Keys are stage names, followed by run and split for predictions: `predict@mask 0-0 train`.
    """
    found = {}
    for path in (project.root / ".resume").glob("crop-*/rows.jsonl"):
        name = path.parent.name.removeprefix("crop-")
        found[f"crop@{name}"] = sum(map(len, journal_entries(path)))
    for path in (project.root / ".resume").glob("predict-*.jsonl"):
        stage, fold, seed, split = path.stem.rsplit("-", 3)
        entries = journal_entries(path)
        photos = sum(len(probabilities) for probabilities, _ in entries)
        found[f"{stage.replace('-', '@', 1)} {fold}-{seed} {split}"] = photos
    for path in (project.root / ".resume").glob("[!.]*-*-*.pt"):
        found[f"train@{path.stem}"] = len(torch.load(path, weights_only=True)["history"])
    for path in (project.root / ".resume").glob("features-*.jsonl"):
        photos = sum(count for count, *_ in journal_entries(path))
        found[path.stem.replace("-", "@", 1)] = photos
    return {stage: done for stage, done in found.items() if done}


def journal_entries(journal: Path) -> list:
    """Return the complete entries of a journal, without its fingerprint."""
    lines = journal.read_text().split("\n")[1:-1]
    return [json.loads(line.rpartition(" ")[0]) for line in lines]


def outputs_by_stage(output: str) -> list[tuple[str, str]]:
    """Return (stage, its output) for each stage that ran, in order."""
    _, *parts = re.split(r"Running stage '([^']*)'", output)
    return list(zip(parts[::2], parts[1::2], strict=True))


def check(output: str, left: dict[str, int], epochs: Counter, finished: bool) -> None:
    """Check that a `dvc repro` resumed from all progress that the previous one left.

    Args:
        output: its output.
        left: `progress` before it started.
        epochs: (stage, epoch) of all epochs trained so far; updated.
        finished: whether its last stage ran to its end.
    """
    ran = outputs_by_stage(output)
    for n, (stage, text) in enumerate(ran):
        in_name = stage.startswith("features")  # the stage's name ends in its split
        resumed = {
            f"{stage} {split * (not in_name)}".rstrip(): int(done)
            for split, done in RESUMING.findall(text)
        }
        expected = {key: done for key, done in left.items() if key.split()[0] == stage}
        assert resumed.items() <= expected.items(), f"{stage}: {resumed}, expected {expected}"
        if finished or n + 1 < len(ran):
            assert resumed == expected, f"{stage} started again:\n{text}"
        epochs.update((stage, int(epoch)) for epoch in EPOCH.findall(text))
    repeated = [key for key, times in epochs.items() if times > 1]
    assert not repeated, f"epochs trained twice after they were reported: {repeated}"


def needs_repair(output: str) -> bool:
    """Return whether DVC was killed while it wrote dvc.lock or its list of locks."""
    return "dvc.lock' validation failed" in output or "RWLock-file" in output


def repair(project, check: bool = True) -> str:
    return project.run(sys.executable, str(REPO / ".dvc/repair.py"), check=check)
