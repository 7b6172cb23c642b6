"""SIGINT and SIGTERM end `dvc repro` and its stage promptly, and say how to resume."""

import os
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from interruption import EPOCH, Repro, check, progress, waiting_shell

from portrait18.core.errors import STOPPED

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]
EPOCHS = 150  # of some hundredths of a second: a signal must arrive during the training
MAX_FURTHER_EPOCHS = 20  # after a signal; usually none or one, however busy the machine


@pytest.fixture(scope="module")
def training(finished, tmp_path_factory):
    """A project with one long training to do, and its lock entry from an undisturbed run."""
    projects = []
    for name in ("undisturbed", "disturbed"):
        root = tmp_path_factory.mktemp(name) / "copy"
        shutil.copytree(finished.root, root, symlinks=True)
        projects.append(type(finished)(root))
        projects[-1].set_params({"train": {"mask": {"epochs": EPOCHS, "patience": 0}}})
    projects[0].repro("-s", "train@mask-0-0")
    return projects[1], projects[0].lock()["train@mask-0-0"]


def stage_process(repro: Repro) -> psutil.Process | None:
    """Return the process of `python -m stages train`, or None."""
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(repro.process.pid).children(recursive=True):
            if process.cmdline()[1:4] == ["-m", "stages", "train"]:
                return process
    return None


def cpu_seconds(repro: Repro) -> float:
    """Return the CPU time of the stage: its progress, however busy the machine."""
    with suppress(psutil.NoSuchProcess):
        if stage := stage_process(repro):
            return stage.cpu_times().user + stage.cpu_times().system
    return 0.0


def test_signals_end_a_training_promptly_and_it_resumes(training, tmp_path, monkeypatch):
    project, undisturbed = training
    left, epochs = {}, Counter()
    for case in (
        "Ctrl-C in a terminal",
        "SIGTERM to the stage",
        "SIGTERM to dvc",
        "SIGTERM to dvc, with a shell in between",
    ):
        if case.endswith("between"):
            monkeypatch.setenv("SHELL", waiting_shell(tmp_path / "shell"))
        repro = Repro(project, "-s", "train@mask-0-0")
        assert repro.wait_for(EPOCH.search), repro.output()
        stage, trained = stage_process(repro), len(EPOCH.findall(repro.output()))
        sent = time.monotonic()
        if case == "Ctrl-C in a terminal":
            os.killpg(repro.process.pid, signal.SIGINT)
        elif case == "SIGTERM to the stage":
            stage.terminate()
        else:
            repro.process.terminate()
        while repro.alive() and time.monotonic() < sent + 60:
            repro.process.poll()
            time.sleep(0.05)
        took = time.monotonic() - sent
        assert not repro.alive(), f"{case}: a process is left after {took:.0f} s"
        repro.reader.join()
        further = len(EPOCH.findall(repro.output())) - trained
        assert further <= MAX_FURTHER_EPOCHS, f"{case}: {further} epochs after it"
        assert STOPPED in repro.output(), f"{case}:\n{repro.output()}"
        assert "Traceback" not in repro.output(), f"{case}:\n{repro.output()}"
        check(repro.output(), left, epochs, finished=False)
        left = progress(project)
    output = project.run("dvc", "repro", "-s", "train@mask-0-0")
    check(output, left, epochs, finished=True)
    assert "resuming after epoch" in output
    assert project.lock()["train@mask-0-0"] == undisturbed


def test_a_signal_during_imports_ends_the_stage_the_same_way(training):
    project, _ = training
    project.set_params({"train": {"mask": {"epochs": EPOCHS + 1}}})
    repro = Repro(project, "-s", "train@mask-0-0")
    assert repro.wait_for(re.compile(r"^> ").search)
    # Signal handlers are set within a tenth of this CPU time; the imports take many times as long.
    while cpu_seconds(repro) < 0.5:
        assert repro.process.poll() is None, repro.output()
        time.sleep(0.01)
    os.killpg(repro.process.pid, signal.SIGINT)
    repro.process.wait(60)
    repro.reader.join()
    assert STOPPED in repro.output(), repro.output()
    assert "Traceback" not in repro.output(), repro.output()
    assert not EPOCH.search(repro.output())
