"""Two processes under torchrun (`launch`) write what one does, also where a killed one goes on as two."""

import shutil
import signal
import time

import pytest
from killing import Repro

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
