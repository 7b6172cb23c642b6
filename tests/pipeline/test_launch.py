"""Two processes under torchrun (`launch`), or trainings side by side as the README has it, write what one does."""

import os
import re
import shutil
import signal
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from killing import EPOCH, Repro, alive, shell_that_stays
from synthetic import REPO

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]
TWO = "torchrun --standalone --nproc-per-node=2"
STAGES = ["crop@train", "crop@eval", "predict@mask-0-0", "predict@age-value-0-0"]


@pytest.fixture
def again(project):
    """The finished project with two processes asked for, and nothing to take over from what one did."""
    shutil.rmtree(project.root / ".resume")
    project.set_params({"launch": TWO})
    return project


def outs(project) -> dict:
    return {stage: project.lock()[stage]["outs"] for stage in STAGES}


def test_two_processes_crop_and_predict_the_bytes_of_one(again):
    before = outs(again)
    output = again.run("dvc", "repro", "-s", *STAGES)
    assert all(f"Running stage '{stage}'" in output for stage in STAGES)
    assert output.count("a face found on") == 2  # each set is said once
    assert outs(again) == before
    for stage in STAGES:
        assert again.lock()[stage]["cmd"].startswith(TWO)


def test_two_killed_while_they_crop_are_gone_on_with_by_one(again):
    before = outs(again)["crop@train"]
    source = again.root / "portrait18/cropping/builder.py"
    text = re.sub(
        r"^CHUNK = .*", "CHUNK = 2", source.read_text(), flags=re.MULTILINE
    )  # more to be killed in
    source.write_text(text)
    repro = Repro(again, "-s", "crop@train")
    journal = again.root / ".resume/crop-train/rows.jsonl"
    while (
        not journal.exists() or journal.read_text().count("\n") < 3
    ):  # what it is, then a line for each chunk
        assert repro.process.poll() is None, repro.told()
        time.sleep(0.01)
    repro.end(signal.SIGKILL)
    assert "a face found on" not in repro.told()
    again.set_params({"launch": "python"})
    output = again.run("dvc", "repro", "--force", "-s", "crop@train")
    assert "going on from photo" in output
    assert outs(again)["crop@train"] == before


def test_no_process_of_a_stage_outlives_dvc(again, tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL", shell_that_stays(tmp_path / "shell"))
    again.set_params(
        {"train": {"mask": {"epochs": 100_000, "patience": 0}}}
    )  # it does not end by itself
    repro = Repro(again, "-s", "train@mask-0-0")
    assert repro.wait_for(EPOCH.search), repro.told()
    stage = psutil.Process(repro.process.pid).children(recursive=True)
    assert len(stage) >= 4  # a shell, torchrun and two processes
    repro.process.kill()
    until = time.monotonic() + 300
    while (left := [process for process in stage if alive(process)]) and time.monotonic() < until:
        time.sleep(0.1)
    for process in left:
        process.kill()
    assert not left


def test_two_processes_train_to_the_figures_of_one(again):
    # No batch norm, whose statistics are each process's own on CPUs, and no dropout, drawn by each for itself.
    again.set_params({"train": {"mask": {"backbone": "test_convnext", "dropout": 0.0}}})
    curves, figures = again.root / "reports/train/mask/0-0/plots/metrics", {}
    for launch in ("python", TWO):
        again.set_params({"launch": launch})
        output = again.run("dvc", "repro", "-s", "train@mask-0-0")
        assert len(EPOCH.findall(output)) == 2
        assert "going on" not in output
        assert again.lock()["train@mask-0-0"]["cmd"].startswith(launch)
        figures[launch] = {path.stem: pd.read_csv(path, sep="\t") for path in curves.glob("*.tsv")}
    one, two = figures.values()
    assert one.keys() == two.keys() >= {"lr", "train_loss", "loss", "accuracy", "macro_f1"}
    for name in one:
        np.testing.assert_allclose(
            two[name][["step", name]], one[name][["step", name]], rtol=1e-3, atol=1e-4
        )


def test_trainings_side_by_side_make_what_they_make_in_turn(project, tmp_path, stages_of):
    project.set_params({"matrix": {"models": ["all"], "folds": [0, 1]}, "split": {"folds": 2}})
    shutil.copytree(project.root, tmp_path / "turns", symlinks=True)
    turns = type(project)(tmp_path / "turns")
    turns.run("dvc", "repro", OMP_NUM_THREADS="1")
    (command,) = re.findall(
        r"^(make parallel \S+)", (REPO / "README.md").read_text(), re.MULTILINE
    )
    installed = [
        "-f",
        str(REPO / "Makefile"),
        "--assume-old=.venv/installed",
        f"JOBS={os.cpu_count()}",
    ]
    ran = stages_of(project.run(*command.split(), *installed))
    trainings = ["train@all-0-0", "train@all-1-0"]
    assert sorted(stage for stage in ran if stage.startswith("train@")) == trainings
    assert all(project.lock()[training] == turns.lock()[training] for training in trainings)
    assert project.lock()["submit"] == turns.lock()["submit"]
