"""recipes/ledger.py with the real DVC, on a pipeline of one quick stage."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.pipeline
#: Fails at lr 0; else writes what it was told, where the real pipeline has its figures.
STAGE = """\
import json, pathlib, yaml
params = yaml.safe_load(open("params.yaml"))
told = params["train"]
pathlib.Path("reports").mkdir(exist_ok=True)
for name, figures in {
    "metrics": {"macro_f1": 0.01 / told["lr"], "people": 7, "age": {"macro_f1": 0.5}},
    "score": {"macro_f1": told["lr"] + params["matrix"]["seeds"][0]} if told["answers"] else {},
    "check": {"train": {"people": 36}, "eval": {"photos": 84}},
}.items():
    json.dump(figures, open(f"reports/{name}.json", "w"))
"""
PARAMS = {
    "data": {"root": "data/demo", "extra": "data/demo"},
    "matrix": {"seeds": [0]},
    "train": {"lr": 0.1, "answers": True, "words": "one", "names": []},
}
RECIPES = {
    "base": "# Base: a base.\ntrain.names=[mask,gender]\n++train.shares=[1.0, 0.9]\ntrain.words='two, \"words\"'\n",
    "child": "# from: base\n# A child.\ntrain.lr=0.2\n",
    "other": "# Another one.\ntrain.answers=false\n",
    "broken": "# It fails.\ntrain.lr=0\n",
}


@pytest.fixture
def project(tmp_path):
    """A repository with a stage, four recipes and the script; call(*args) runs the script."""
    shutil.copytree(
        ROOT / "portrait18", tmp_path / "portrait18", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        ROOT / "recipes",
        tmp_path / "recipes",
        ignore=shutil.ignore_patterns("*.txt", "__pycache__"),
    )
    for name, text in RECIPES.items():
        (tmp_path / f"recipes/{name}.txt").write_text(text)
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    metrics = [{f"reports/{name}.json": {"cache": False}} for name in ("metrics", "score", "check")]
    stage = {
        "cmd": "python stage.py",
        "deps": ["stage.py"],
        "params": list(PARAMS),
        "metrics": metrics,
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": stage}}))
    (tmp_path / ".gitignore").write_text("__pycache__\n/data\n")
    for root in ("demo", "my photos"):
        for part in ("train/train.csv", "train/images", "eval/info.csv", "eval/images"):
            (tmp_path / "data" / root / part).mkdir(parents=True)
    env = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    for who in ("AUTHOR", "COMMITTER"):
        env.update({f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.org"})

    def call(*command, **changes):
        return subprocess.run(
            command, cwd=tmp_path, env={**env, **changes}, capture_output=True, text=True
        )

    dvc = [sys.executable, "-m", "dvc"]  # this Python may lie in a path with a space
    for command in (
        ["git", "init", "-q"],
        [*dvc, "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        assert call(*command).returncode == 0
    call.root = tmp_path
    call.start = lambda command: subprocess.Popen(
        command, cwd=tmp_path, env=env, start_new_session=True
    )
    call.recipe = lambda *args, **changes: call(
        sys.executable, "recipes/ledger.py", "run", *args, **changes
    )
    call.params = lambda: yaml.safe_load((tmp_path / "params.yaml").read_text())
    call.runs = lambda: [
        line.split(",") for line in (tmp_path / "reports/runs.csv").read_text().splitlines()[1:]
    ]
    return call


def wait_until(ready, seconds=600):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def finished(project):
    """The ledger's lines of runs that ended well; one that fails has a line too if it took a minute."""
    runs = project.runs() if (project.root / "reports/runs.csv").exists() else []
    assert all(run[7] or float(run[6]) >= 1 for run in runs)
    return [run for run in runs if run[7]]


def test_recipes_run_one_after_the_other_each_from_the_committed_params(project):
    done = project.recipe("child", "--seed", "3")
    assert done.returncode == 0, done.stderr
    trained = {
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

    done = project.recipe("other", "--also", "data.root='data/my photos'")
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


def test_photos_must_be_there(project):
    (project.root / "data/my photos/eval/info.csv").rmdir()
    also = [
        word
        for told in ("data.root='data/my photos'", "data.extra=data/more")
        for word in ("--also", told)
    ]
    done = project.recipe("base", *also)
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


def test_git_must_have_a_commit_and_know_a_name(project):
    nobody = {"GIT_AUTHOR_EMAIL": "", "GIT_COMMITTER_EMAIL": ""}
    done = project.recipe("base", **nobody)
    assert done.returncode == 1
    assert "git config --global user.email" in done.stderr
    shutil.rmtree(project.root / ".git")
    done = project.recipe("base")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no git repository")
    assert project.params() == PARAMS


def test_ctrl_c_ends_dvc_and_gives_the_committed_params_back(project):
    (project.root / "stage.py").write_text("open('started', 'w'); import time; time.sleep(3600)")
    command = [sys.executable, "recipes/ledger.py", "run", "child"]
    process = project.start(command)
    wait_until((project.root / "started").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them are told
    assert process.wait(600) not in (0, None)
    assert project.params() == PARAMS
    assert not finished(project)


def test_a_killed_recipe_leaves_git_so_that_the_next_one_can_mend_it(project):
    (project.root / "stage.py").write_text("open('started', 'w'); import time; time.sleep(3600)")
    branch = project("git", "symbolic-ref", "HEAD").stdout
    process = project.start([sys.executable, "recipes/ledger.py", "run", "child"])
    wait_until((project.root / "started").exists)
    killed = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(600)
    # Where init is slow to collect them DVC takes the killed for living, and what they had locked for busy.
    wait_until(lambda: not any(psutil.pid_exists(child.pid) for child in killed))
    assert project("git", "symbolic-ref", "HEAD").returncode  # DVC had taken it off its branch
    (project.root / "stage.py").write_text(STAGE)
    done = project.recipe("child")
    assert done.returncode == 1
    assert "git checkout params.yaml" in done.stderr
    assert project("git", "checkout", "params.yaml").returncode == 0
    again = project.recipe("child")
    assert again.returncode == 0, again.stderr
    assert project("git", "symbolic-ref", "HEAD").stdout == branch
    assert "HEAD was detached" in done.stdout


def test_a_sweep_is_queued_for_each_value_and_run_in_turn(project):
    dvc = (sys.executable, "-m", "dvc")
    queued = project(*dvc, "exp", "run", "--queue", "-S", "train.lr=choice(0.1,0.2)")
    assert queued.stdout.count("Queued experiment") == 2, queued.stderr
    assert project(*dvc, "queue", "start").returncode == 0
    wait_until(lambda: project(*dvc, "queue", "status").stdout.count("Success") == 2, seconds=300)
    shown = json.loads(project(*dvc, "exp", "show", "--json").stdout)
    kept = [each["revs"][0]["data"] for commit in shown for each in commit["experiments"] or []]
    scores = [data["metrics"]["reports/score.json"]["data"]["macro_f1"] for data in kept]
    assert sorted(scores) == [0.1, 0.2]
    assert project.params() == PARAMS
