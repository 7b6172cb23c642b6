"""Two processes under torchrun (`launch`), or trainings side by side as the README has it, write what one does."""

import re
import shutil
import signal
import time

import psutil
import pytest
from killing import EPOCH, Repro
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
    repro = Repro(again, "-s", "crop@train")
    journal = again.root / ".resume/crop-train/rows.jsonl"
    while not journal.exists() or journal.read_text().count("\n") < 3:  # what it is, then a line for each chunk
        assert repro.process.poll() is None, repro.told()
        time.sleep(0.01)
    repro.end(signal.SIGKILL)
    assert "a face found on" not in repro.told()
    again.set_params({"launch": "python"})
    output = again.run("dvc", "repro", "--force", "-s", "crop@train")
    assert "going on from photo" in output
    assert outs(again)["crop@train"] == before


def test_no_process_of_a_stage_outlives_dvc(again):
    again.set_params({"train": {"mask": {"epochs": 60, "patience": 0}}})
    repro = Repro(again, "-s", "train@mask-0-0")
    assert repro.wait_for(EPOCH.search), repro.told()
    stage = psutil.Process(repro.process.pid).children(recursive=True)
    assert len(stage) >= 3  # torchrun and two processes
    repro.process.kill()
    _, alive = psutil.wait_procs(stage, timeout=30)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_trainings_side_by_side_make_what_they_make_in_turn(project, tmp_path, stages_of):
    project.set_params({"matrix": {"models": ["all"], "folds": [0, 1]}, "split": {"folds": 2}})
    shutil.copytree(project.root, tmp_path / "turns", symlinks=True)
    turns = type(project)(tmp_path / "turns")
    turns.run("dvc", "repro", OMP_NUM_THREADS="1")
    (commands,) = re.findall(r"```sh\n([^`]* xargs [^`]*)```", (REPO / "README.md").read_text())
    ran = stages_of(project.run("bash", "-ec", commands, OMP_NUM_THREADS="1"))
    trainings = ["train@all-0-0", "train@all-1-0"]
    assert sorted(stage for stage in ran if stage.startswith("train@")) == trainings
    assert all(project.lock()[training] == turns.lock()[training] for training in trainings)
    assert project.lock()["submit"] == turns.lock()["submit"]
