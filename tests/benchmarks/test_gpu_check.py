"""The GPU check: its steps, its summary, and what a failing step leaves."""

import json
import re
import sys

import pytest
import torch
from synthetic import REPO

from benchmarks import gpu_check, gpu_measurements, gpu_steps


def report(folder):
    return json.loads((folder / "gpu_check.json").read_text())


@pytest.fixture
def check(tmp_path):
    """check(*arguments) runs steps on the CPU; returns exit status and steps of the report."""

    def run(*arguments):
        status = gpu_check.main(["--device", "cpu", "--out", str(tmp_path), *arguments])
        return status, report(tmp_path)["steps"]

    return run


@pytest.mark.pipeline
def test_a_dry_run_compares_faces_with_themselves(check, tmp_path):
    status, [step] = check("--only", "detector_agreement")
    assert (status, step["status"]) == (0, "passed")
    assert step["numbers"] == {"photos": 84, "max_box_difference_px": 0.0}
    summary = (tmp_path / "gpu_check.md").read_text()
    assert "| detector_agreement | passed |" in summary
    assert "- device: cpu" in summary


@pytest.mark.pipeline
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_dry_run_skips_the_tests_marked_gpu(check):
    status, [step] = check("--only", "gpu_tests")
    assert (status, step["status"]) == (0, "passed")
    assert re.match(r"\d+ skipped", step["numbers"]["summary"])


@pytest.mark.pipeline
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_tests_that_are_skipped_on_a_gpu_machine_fail_the_step():
    with pytest.raises(RuntimeError, match="no test ran"):
        gpu_steps.gpu_tests(gpu_steps.Settings(REPO / "data/demo", 1, "cuda"))


def test_a_failing_step_is_reported_and_ends_with_1(check, tmp_path):
    status, [step] = check("--only", "detector_agreement", "--data", str(tmp_path / "missing"))
    assert (status, step["status"]) == (1, "failed")
    assert "missing/eval/images" in step["error"]
    assert step["error"].strip() in (tmp_path / "gpu_check.md").read_text()


def test_a_hanging_step_is_killed():
    hang = [sys.executable, "-c", "import time; time.sleep(3600)"]
    result = gpu_check.run_step("training_memory", hang, 1)
    assert result.status == "failed"
    assert "took more than 1 s" in result.error


@pytest.mark.parametrize("module", [gpu_steps, gpu_measurements])
def test_every_step_runs(module):
    written = [
        value
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
        and "settings" in getattr(value, "__annotations__", {})
    ]
    assert written
    assert gpu_check.LIMITS.keys() >= set(written)
