"""`make slurm` on a real Slurm of one node writes what `dvc repro` does, and survives kills."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from cluster import missing_programs, slurm_cluster
from interruption import EPOCH
from synthetic import REPO

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slurm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        bool(missing_programs()),
        reason=f"not installed: {', '.join(missing_programs())} (Debian: slurm-wlm, munge)",
    ),
]
MAKE = ("make", "slurm", "-f", str(REPO / "Makefile"), "--assume-old=.venv/installed")
JOB = (".dvc/slurm_job.sh", "-s", "train@mask-0-0")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Environment variables for a cluster of one node with two CPUs."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm") / "c") as env:
        yield env


def with_scripts(project):
    for name in ("slurm.py", "slurm_job.sh"):
        shutil.copy(REPO / ".dvc" / name, project.root / ".dvc")
    return project


def submit(project, cluster: dict[str, str], *options: str) -> str:
    """Run the stage train@mask-0-0 as one job; return its log."""
    log = project.root / "train.log"
    command = ["sbatch", "--wait", "--job-name=train", f"--output={log}", *options, *JOB]
    project.run(*command, LOG=str(log), RESTARTS="3", **cluster)
    return log.read_text()


def kill_when(
    job: str,
    log: Callable[[], list[Path]],
    text: str,
    cluster: dict[str, str],
    seconds: float = 900,
) -> None:
    """Send SIGKILL to the DVC of a job, and to all that it started, once its log has a text."""
    deadline = time.monotonic() + seconds
    while not any(text in path.read_text() for path in log()):
        assert time.monotonic() < deadline, f"no {text!r} in {log()}"
        time.sleep(0.01)
    killed = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            env = process.environ()
            # Another test run may have a job of the same name.
            mine = env.get("SLURM_CONF") == cluster["SLURM_CONF"]
            if mine and env.get("SLURM_JOB_NAME") == job and is_python(process):
                process.kill()
                killed.append(process.pid)
    assert len(killed) >= 2, f"{job}: only {killed} of DVC and its stage were running"


def is_python(process: psutil.Process) -> bool:
    return "python" in Path(process.exe()).name


def test_slurm_jobs_write_what_one_dvc_repro_does(finished, fresh_project, cluster):
    project = with_scripts(fresh_project)
    name = "train@mask-0-0"

    def logs() -> list[Path]:
        return list(project.root.glob(f".dvc/tmp/slurm/*/{name}.log"))

    with ThreadPoolExecutor() as pool:
        making = pool.submit(project.run, *MAKE, "ARGS=--time=60", **cluster)
        kill_when(name, logs, f"Running stage '{name}'", cluster)
        output = making.result()
    assert project.lock() == finished.lock()
    assert "submitted 12 jobs" in output  # two for crops, four trainings, four predictions, two
    assert output.count("Running stage") == len(project.lock()) - 13
    (log,) = logs()
    assert f"{name}: start 2" in log.read_text()


def test_a_killed_job_resumes_its_training(project, tmp_path, cluster):
    project.set_params({"train": {"mask": {"epochs": 30, "patience": 0}}})
    shutil.copytree(project.root, tmp_path / "undisturbed", symlinks=True)
    undisturbed = type(project)(tmp_path / "undisturbed")
    undisturbed.repro("-s", "train@mask-0-0")
    log = project.root / "train.log"
    log.touch()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(submit, with_scripts(project), cluster)
        kill_when("train", lambda: [log], "epoch 2/30", cluster)
        output = waiting.result()
    assert "resuming after epoch" in output
    assert len(set(EPOCH.findall(output))) == len(EPOCH.findall(output)) == 30
    assert project.lock() == undisturbed.lock()


def test_an_error_of_the_user_is_not_tried_again(project, cluster):
    project.set_params({"train": {"mask": {"backbone": "no_such_network"}}})
    with pytest.raises(AssertionError, match=r"sbatch.* exited with 1"):
        submit(with_scripts(project), cluster)
    log = (project.root / "train.log").read_text()
    assert log.count("start 1") == 1
    assert "start 2" not in log
    assert log.splitlines()[-1] == "train: failed, see the error above"


def test_srun_starts_one_training_in_two_tasks(project, cluster):
    # Without batch norm, whose statistics are per process on CPUs, and dropout, drawn per process.
    mask = {"backbone": "test_convnext", "dropout": 0.0}
    project.set_params({"train": {"mask": mask}})
    with_scripts(project).repro("-s", "train@mask-0-0")
    curves, metrics = project.root / "reports/train/mask/0-0/plots/metrics", {}
    metrics["one"] = {path.stem: pd.read_csv(path, sep="\t") for path in curves.glob("*.tsv")}
    launch = (
        "srun --ntasks=2 torchrun --nnodes=2 --nproc-per-node=1 --rdzv-backend=c10d"
        " --rdzv-id=$SLURM_JOB_ID --rdzv-endpoint=$(hostname):$((20000 + SLURM_JOB_ID % 10000))"
    )
    project.set_params({"launch": launch})
    output = submit(project, cluster, "--ntasks=2")
    assert len(EPOCH.findall(output)) == 2
    metrics["two"] = {path.stem: pd.read_csv(path, sep="\t") for path in curves.glob("*.tsv")}
    for name in metrics["one"]:
        one, two = (metrics[key][name][["step", name]] for key in ("one", "two"))
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)
