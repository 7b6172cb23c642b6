"""Run recipes with the real DVC, on a pipeline of one quick stage."""

import json
import os
import shutil
import signal
import sys
import time

import psutil
import pytest
import recipe_project
import yaml
from recipe_project import LEDGER, PARAMS, STAGE

pytestmark = pytest.mark.pipeline


@pytest.fixture
def project(tmp_path):
    return recipe_project.make(tmp_path)


def wait_until(ready, seconds=600):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def finished(project):
    """Return the lines of finished runs; a failed run has a line too if it took a minute."""
    runs = project.runs() if (project.root / "reports/runs.csv").exists() else []
    assert all(run[7] or float(run[6]) >= 1 for run in runs)
    return [run for run in runs if run[7]]


def test_each_recipe_starts_from_the_committed_params(project):
    done = project.recipe("child", "--seed", "3")
    assert done.returncode == 0, done.stderr
    trained = {
        "loss": {"name": "g", "b": 2},
        "lr": 0.2,
        "answers": True,
        "words": 'two, "words"',
        "names": ["mask", "gender"],
        "shares": [1.0, 0.9],
    }
    assert project.params() == {**PARAMS, "matrix": {"seeds": [3]}, "train": trained}
    assert project.runs()[0][:2] == ["child", "3"]
    assert project.runs()[0][3].startswith("child-s3-")
    assert project.runs()[0][8:] == ["data/demo", "36", "7", "84", "0.05", "0.5", "3.2", "", "", ""]

    done = project.recipe("other", "--set", "data.root=data/my photos")
    assert done.returncode == 0, done.stderr
    wanted = {
        **PARAMS,
        "data": {**PARAMS["data"], "root": "data/my photos"},
        "train": {**PARAMS["train"], "answers": False},
    }
    assert project.params() == wanted
    assert "held the experiment child-s3-" in done.stdout
    assert len(project.runs()) == 2
    assert project.runs()[1][12:] == ["0.1", "0.5", "", "", "", ""]

    done = project.recipe("broken")
    assert done.returncode != 0
    assert "did not finish" in done.stderr
    assert project.params() == PARAMS
    assert len(finished(project)) == 2

    (project.root / "params.yaml").write_text(yaml.safe_dump({**PARAMS, "mine": 1}))
    done = project.recipe("base")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "git checkout params.yaml" in done.stderr
    assert project.params()["mine"] == 1


def test_missing_photos_are_listed_before_dvc_starts(project):
    (project.root / "data/my photos/eval/info.csv").rmdir()
    folders = ("--set", "data.root=data/my photos", "--set", "data.extra=data/more")
    done = project.recipe("base", *folders)
    assert done.returncode == 1
    assert "dvc exp run" not in done.stdout
    for missing in (
        "data/my photos/eval/info.csv",
        "data/more/train/train.csv",
        "data/more/train/images",
    ):
        assert f"{missing} is missing; put the data there" in done.stderr
    assert done.stderr.count("is missing") == 3
    assert project.params() == PARAMS


def test_a_repository_without_commit_or_author_is_refused(project):
    nobody = {"GIT_AUTHOR_EMAIL": "", "GIT_COMMITTER_EMAIL": ""}
    done = project.recipe("base", **nobody)
    assert done.returncode == 1
    assert "git config --global user.email" in done.stderr
    shutil.rmtree(project.root / ".git")
    done = project.recipe("base")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no git repository")
    assert project.params() == PARAMS


def test_ctrl_c_ends_dvc_and_restores_params(project):
    (project.root / "stage.py").write_text("open('started', 'w'); import time; time.sleep(3600)")
    process = project.start(*LEDGER, "run", "child")
    wait_until((project.root / "started").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    assert process.wait(600) not in (0, None)
    assert project.params() == PARAMS
    assert not finished(project)


def test_the_next_recipe_repairs_git_after_a_kill(project):
    (project.root / "stage.py").write_text("open('started', 'w'); import time; time.sleep(3600)")
    branch = project("git", "symbolic-ref", "HEAD").stdout
    process = project.start(*LEDGER, "run", "child")
    wait_until((project.root / "started").exists)
    killed = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(600)
    # Until init has reaped the killed processes, DVC takes them for alive and their locks for held.
    wait_until(lambda: not any(psutil.pid_exists(child.pid) for child in killed))
    assert project("git", "symbolic-ref", "HEAD").returncode  # DVC had detached HEAD
    (project.root / "stage.py").write_text(STAGE)
    done = project.recipe("child")
    assert done.returncode == 1
    assert "git checkout params.yaml" in done.stderr
    assert project("git", "checkout", "params.yaml").returncode == 0
    again = project.recipe("child")
    assert again.returncode == 0, again.stderr
    assert project("git", "symbolic-ref", "HEAD").stdout == branch
    assert "HEAD was detached" in done.stdout


def test_a_sweep_queues_and_runs_one_experiment_per_value(project):
    dvc = (sys.executable, "-m", "dvc")
    queued = project(*dvc, "exp", "run", "--queue", "-S", "train.lr=choice(0.1,0.2)")
    assert queued.stdout.count("Queued experiment") == 2, queued.stderr
    assert project(*dvc, "queue", "start").returncode == 0
    wait_until(lambda: project(*dvc, "queue", "status").stdout.count("Success") == 2, seconds=300)
    shown = json.loads(project(*dvc, "exp", "show", "--json").stdout)
    runs = [each["revs"][0]["data"] for commit in shown for each in commit["experiments"] or []]
    scores = [data["metrics"]["reports/score.json"]["data"]["macro_f1"] for data in runs]
    assert sorted(scores) == [0.1, 0.2]
    assert project.params() == PARAMS
