"""Two processes under torchrun, and parallel trainings, write what one process does."""

import os
import re
import shutil
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from interruption import EPOCH, Repro, alive, waiting_shell
from synthetic import REPO

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]
TWO = "torchrun --standalone --nproc-per-node=2"
STAGES = ["crop@train", "crop@eval", "predict@mask", "predict@age-value"]


@pytest.fixture
def two_processes(project):
    """The finished project with `launch` set to two processes and nothing to reuse."""
    shutil.rmtree(project.root / ".resume")
    project.set_params({"launch": TWO})
    return project


def outputs(project) -> dict:
    return {stage: project.lock()[stage]["outs"] for stage in STAGES}


def test_two_processes_crop_and_predict_the_bytes_of_one(two_processes):
    before = outputs(two_processes)
    output = two_processes.run("dvc", "repro", "-s", *STAGES)
    assert all(f"Running stage '{stage}'" in output for stage in STAGES)
    assert output.count("photos cropped") == 2, "one line for each set"
    assert outputs(two_processes) == before
    for stage in STAGES:
        assert TWO in str(two_processes.lock()[stage]["cmd"])


def test_one_process_resumes_the_crops_of_two_that_were_killed(two_processes):
    before = outputs(two_processes)["crop@train"]
    two_processes.set_params({"crop": {"batch_size": 1}})  # more chunks to be killed in
    repro = Repro(two_processes, "-s", "crop@train")
    journal = two_processes.root / ".resume/crop-train/rows.jsonl"
    # The first line is the fingerprint; each chunk adds one.
    while not journal.exists() or journal.read_text().count("\n") < 3:
        assert repro.process.poll() is None, repro.output()
        time.sleep(0.01)
    repro.kill()
    assert "photos cropped" not in repro.output()
    two_processes.set_params({"launch": "python"})
    output = two_processes.run("dvc", "repro", "--force", "-s", "crop@train")
    assert "resuming from photo" in output
    assert outputs(two_processes)["crop@train"] == before


def test_no_process_of_a_stage_outlives_dvc(two_processes, tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL", waiting_shell(tmp_path / "shell"))
    two_processes.set_params({"train": {"mask": {"epochs": 100_000, "patience": 0}}})  # endless
    repro = Repro(two_processes, "-s", "train@mask-0-0")
    assert repro.wait_for(EPOCH.search), repro.output()
    stage = psutil.Process(repro.process.pid).children(recursive=True)
    assert len(stage) >= 4  # a shell, torchrun and two processes
    repro.process.kill()
    until = time.monotonic() + 300
    while (left := [process for process in stage if alive(process)]) and time.monotonic() < until:
        time.sleep(0.1)
    for process in left:
        process.kill()
    assert not left


def test_two_processes_train_to_the_metrics_of_one(two_processes):
    # Without batch norm, whose statistics are per process on CPUs, and dropout, drawn per process.
    two_processes.set_params({"train": {"mask": {"backbone": "test_convnext", "dropout": 0.0}}})
    curves, metrics = two_processes.root / "reports/train/mask/0-0/plots/metrics", {}
    for launch in ("python", TWO):
        two_processes.set_params({"launch": launch})
        output = two_processes.run("dvc", "repro", "-s", "train@mask-0-0")
        assert len(EPOCH.findall(output)) == 2
        assert "resuming" not in output
        assert two_processes.lock()["train@mask-0-0"]["cmd"].startswith(launch)
        metrics[launch] = {path.stem: pd.read_csv(path, sep="\t") for path in curves.glob("*.tsv")}
    one, two = metrics.values()
    assert one.keys() == two.keys() >= {"lr", "train_loss", "loss", "accuracy", "macro_f1"}
    for name in one:
        np.testing.assert_allclose(
            two[name][["step", name]], one[name][["step", name]], rtol=1e-3, atol=1e-4
        )


def test_parallel_trainings_write_what_sequential_ones_do(project, tmp_path, stages_of):
    project.set_params({"matrix": {"models": ["all"], "folds": [0, 1]}, "split": {"folds": 2}})
    shutil.copytree(project.root, tmp_path / "sequential", symlinks=True)
    sequential = type(project)(tmp_path / "sequential")
    sequential.run("dvc", "repro", OMP_NUM_THREADS="1")
    (command,) = re.findall(
        r"^(make parallel \S+)", (REPO / "docs/performance.md").read_text(), re.MULTILINE
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
    assert all(project.lock()[training] == sequential.lock()[training] for training in trainings)
    assert project.lock()["submit"] == sequential.lock()["submit"]
