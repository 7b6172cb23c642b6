"""SIGINT and SIGTERM end `dvc repro` and its stage promptly, with a line that says how to go on."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter

import pytest
from killing import EPOCH, Repro, check, progress

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]
EPOCHS = 60  # of some hundredths of a second: a signal must come while it trains, and be heeded before it ends
HOW_TO_GO_ON = "stopped; run the same command again to go on from here"


@pytest.fixture(scope="module")
def training(finished, tmp_path_factory):
    """A project with one long training to do, and the lock's entry of it where nothing disturbs it."""
    projects = []
    for name in ("undisturbed", "disturbed"):
        root = tmp_path_factory.mktemp(name) / "copy"
        shutil.copytree(finished.root, root, symlinks=True)
        projects.append(type(finished)(root))
        projects[-1].set_params({"train": {"mask": {"epochs": EPOCHS, "patience": 0}}})
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
    project.set_params({"train": {"mask": {"epochs": EPOCHS + 1}}})
    repro = Repro(project, "-s", "train@mask-0-0")
    assert repro.wait_for(re.compile(r"^> ").search)
    time.sleep(repro.seconds_to_speak / 2)
    os.killpg(repro.process.pid, signal.SIGINT)
    repro.process.wait(60)
    repro.reader.join()
    assert HOW_TO_GO_ON in repro.told() and "Traceback" not in repro.told(), repro.told()
