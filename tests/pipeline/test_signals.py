"""SIGINT and SIGTERM end `dvc repro` and its stage promptly, with a line that says how to go on."""

import os
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from killing import EPOCH, Repro, check, progress, shell_that_stays

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]
EPOCHS = 150  # of some hundredths of a second: a signal must come while it trains, and be heeded before it ends
FEW = 20  # epochs between a signal and the end; one or none is usual, however busy the machine
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


def stage_of(repro: Repro) -> psutil.Process | None:
    """The process of `python -m stages train`; None where there is none."""
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(repro.process.pid).children(recursive=True):
            if process.cmdline()[1:3] == ["-m", "stages", "train"]:
                return process
    return None


def seconds_of_work(repro: Repro) -> float:
    """CPU time that the stage has had: how far it is, however busy the machine."""
    with suppress(psutil.NoSuchProcess):
        if stage := stage_of(repro):
            return stage.cpu_times().user + stage.cpu_times().system
    return 0.0


def test_signals_end_promptly_with_how_to_go_on(training, tmp_path, monkeypatch):
    project, undisturbed = training
    done, epochs = {}, Counter()
    for how in (
        "Ctrl-C in a terminal",
        "SIGTERM to the stage",
        "SIGTERM to dvc",
        "SIGTERM to dvc, a shell between",
    ):
        if how.endswith("between"):
            monkeypatch.setenv("SHELL", shell_that_stays(tmp_path / "shell"))
        repro = Repro(project, "-s", "train@mask-0-0")
        assert repro.wait_for(EPOCH.search), repro.told()
        stage, trained = stage_of(repro), len(EPOCH.findall(repro.told()))
        sent = time.monotonic()
        if how == "Ctrl-C in a terminal":
            os.killpg(repro.process.pid, signal.SIGINT)
        elif how == "SIGTERM to the stage":
            stage.terminate()
        else:
            repro.process.terminate()
        while repro.alive() and time.monotonic() < sent + 60:
            repro.process.poll()
            time.sleep(0.05)
        took = time.monotonic() - sent
        assert not repro.alive(), f"{how}: a process is left after {took:.0f} s"
        repro.reader.join()
        further = len(EPOCH.findall(repro.told())) - trained
        assert further <= FEW, f"{how}: {further} epochs after it"
        assert HOW_TO_GO_ON in repro.told() and "Traceback" not in repro.told(), (
            f"{how}:\n{repro.told()}"
        )
        check(repro.told(), done, epochs, ended=False)
        done = progress(project)
    output = project.run("dvc", "repro", "-s", "train@mask-0-0")
    check(output, done, epochs, ended=True)
    assert "resuming after epoch" in output
    assert project.lock()["train@mask-0-0"] == undisturbed


def test_a_stage_that_is_still_importing_ends_the_same_way(training):
    project, _ = training
    project.set_params({"train": {"mask": {"epochs": EPOCHS + 1}}})
    repro = Repro(project, "-s", "train@mask-0-0")
    assert repro.wait_for(re.compile(r"^> ").search)
    # Python begins, and the stage sets its handlers, within a tenth of this; its imports take many times as long.
    while seconds_of_work(repro) < 0.5:
        assert repro.process.poll() is None, repro.told()
        time.sleep(0.01)
    os.killpg(repro.process.pid, signal.SIGINT)
    repro.process.wait(60)
    repro.reader.join()
    assert HOW_TO_GO_ON in repro.told() and "Traceback" not in repro.told(), repro.told()
    assert not EPOCH.search(repro.told())
