"""Killed at any moment, `dvc repro` goes on, loses one epoch or one chunk at most, and ends with the same lock."""

import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(7200)]  # a busy machine is slow, and takes its time to stop
SEED = 18
#: The kind of stage that each of the twenty kills is meant for; trainings and predictions take turns in `dvc repro`.
KINDS = ["crop"] * 6 + ["train", "predict", "train"] * 3 + ["evaluate"] * 5
RUNNING = re.compile(r"Running stage '((\w+)[^']*)'")
GOING_ON = re.compile(r"going on (?:from photo|after epoch) (\d+)")
EPOCH = re.compile(r"epoch (\d+)/\d+: train loss")
HOW_TO_GO_ON = "stopped; run the same command again to go on from here"


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
        """Whether any process of the group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self, number: int) -> None:
        """Send a signal to the whole group and wait until all of it has gone."""
        if self.process.poll() is None or self.alive():
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
        entries = [json.loads(line.rpartition(" ")[0]) for line in whole]
        found[f"crop@{path.parent.name.removeprefix('crop-')}"] = sum(len(rows) for _, rows in entries)
    for path in (project.root / ".resume").glob("*-*-*.pt"):
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


def wait_and_kill(repro: Repro, project, at: re.Match, rng: random.Random, after_progress: bool) -> None:
    """Kill all of it at a random moment of this stage, or soon after its next epoch or chunk."""
    stage, kind = at.groups()
    before = progress(project).get(stage, 0)
    ended = False
    while after_progress and not ended and progress(project).get(stage, 0) == before:
        ended = repro.said_within(RUNNING.search, 0.02)
    # A stage of PyTorch takes about four times as long to begin as DVC takes to speak.
    longest = {True: 0.3, False: 6.0}[after_progress] if kind != "evaluate" else 0.8
    if not ended:
        repro.said_within(RUNNING.search, rng.uniform(0, longest) * repro.seconds_to_speak)
    repro.end(signal.SIGKILL)


def test_twenty_kills_in_a_row_cost_nothing_but_the_epoch_or_chunk_at_work(finished, fresh_project):
    project, rng = fresh_project, random.Random(SEED)
    killed, epochs, promised = [], Counter(), {}
    print(f"random seed {SEED}")
    while len(killed) < len(KINDS):
        wanted = KINDS[len(killed)]
        later = ("evaluate",) if wanted != "crop" else ("train", "predict", "evaluate")
        repro = Repro(project)
        at = repro.wait_for(lambda line, kinds=(wanted, *later): (m := RUNNING.search(line)) and m[2] in kinds and m)
        if at is None:
            repro.end(signal.SIGKILL)
            assert broken(repro.told()), f"nothing is left to kill after {killed}:\n{repro.told()}"
            mend(project)
            continue
        wait_and_kill(repro, project, at, rng, after_progress=len(killed) % 2 == 1 and at[2] in ("crop", "train"))
        check(repro.told(), promised, epochs, ended=False)
        promised = progress(project)
        killed.append(stages_told(repro.told())[-1][0])
        print(f"kill {len(killed)}: {killed[-1]}, left to go on from: {promised}")

    output = project.run("dvc", "repro", check=False)
    if broken(output):
        mend(project)
        output = project.run("dvc", "repro")
    check(output, promised, epochs, ended=True)
    kinds = Counter(stage.split("@")[0] for stage in killed)
    assert all(kinds[kind] >= 2 for kind in ("crop", "train", "predict", "evaluate")), kinds
    assert (project.root / "dvc.lock").read_bytes() == (finished.root / "dvc.lock").read_bytes()
    assert project.repro() == []
    assert progress(project) == {}, "what was left to go on from goes when the stage after it has run"
    assert not list(project.root.rglob(".*.part*")), "half-written files must not stay"


@pytest.fixture(scope="module")
def training(finished, tmp_path_factory):
    """A project with one long training to do, and the lock's entry of it where nothing disturbs it."""
    projects = []
    for name in ("undisturbed", "disturbed"):
        root = tmp_path_factory.mktemp(name) / "copy"
        shutil.copytree(finished.root, root, symlinks=True)
        projects.append(type(finished)(root))
        projects[-1].set_params({"train": {"mask": {"epochs": 25, "patience": 0}}})
    projects[0].repro("-s", "train@mask-0-0")
    return projects[1], projects[0].lock()["train@mask-0-0"]


def pid_of_stage(group: int) -> int:
    """The process of `python -m stages.train` in a process group."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return int(
        next(pid for pid, pgid, args in rows if int(pgid) == group and args.split()[1:3] == ["-m", "stages.train"])
    )


def test_signals_end_promptly_with_how_to_go_on(training):
    project, undisturbed = training
    done, epochs = {}, Counter()
    for how in ("Ctrl-C in a terminal", "SIGTERM to the stage", "SIGTERM to dvc"):
        repro = Repro(project, "-s", "train@mask-0-0")
        assert repro.wait_for(EPOCH.search), repro.told()
        sent = time.monotonic()
        if how == "Ctrl-C in a terminal":
            os.killpg(repro.process.pid, signal.SIGINT)
        elif how == "SIGTERM to the stage":
            os.kill(pid_of_stage(repro.process.pid), signal.SIGTERM)
        else:
            repro.process.terminate()
        while repro.alive() and time.monotonic() < sent + 60:
            repro.process.poll()
            time.sleep(0.05)
        took = time.monotonic() - sent
        assert not repro.alive(), f"{how}: a process is left after {took:.0f} s"
        repro.reader.join()
        assert took < 5 + 5 * repro.seconds_to_speak, f"{how}: {took:.1f} s"
        assert HOW_TO_GO_ON in repro.told() and "Traceback" not in repro.told(), f"{how}:\n{repro.told()}"
        check(repro.told(), done, epochs, ended=False)
        done = progress(project)
    output = project.run("dvc", "repro", "-s", "train@mask-0-0")
    check(output, done, epochs, ended=True)
    assert "going on after epoch" in output
    assert project.lock()["train@mask-0-0"] == undisturbed


def test_a_stage_that_is_still_importing_ends_the_same_way(training):
    project, _ = training
    project.set_params({"train": {"mask": {"epochs": 26}}})
    repro = Repro(project, "-s", "train@mask-0-0")
    assert repro.wait_for(re.compile(r"^> ").search)
    time.sleep(repro.seconds_to_speak / 2)
    os.killpg(repro.process.pid, signal.SIGINT)
    repro.process.wait(60)
    repro.reader.join()
    assert HOW_TO_GO_ON in repro.told() and "Traceback" not in repro.told(), repro.told()
