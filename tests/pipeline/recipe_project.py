"""A repository with a pipeline of one quick stage and four recipes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from synthetic import REPO

LEDGER = (sys.executable, "-m", "recipes.ledger")
#: Fails at lr 0. Otherwise writes its params where the real pipeline writes its metrics.
STAGE = """\
import json, pathlib, yaml
params = yaml.safe_load(open("params.yaml"))
train = params["train"]
pathlib.Path("reports").mkdir(exist_ok=True)
for name, metrics in {
    "metrics": {"macro_f1": 0.01 / train["lr"], "people": 7, "age": {"macro_f1": 0.5}},
    "score": {"macro_f1": train["lr"] + params["matrix"]["seeds"][0]} if train["answers"] else {},
    "check": {"train": {"people": 36}, "eval": {"photos": 84}},
}.items():
    json.dump(metrics, open(f"reports/{name}.json", "w"))
"""

PARAMS = {
    "data": {"root": "data/demo", "extra": "data/extra"},
    "matrix": {"seeds": [0]},
    "train": {
        "lr": 0.1,
        "answers": True,
        "words": "one",
        "names": [],
        "loss": {"name": "f", "a": 1},
    },
}

RECIPES = {
    "base": {
        "about": "A base.",
        "set": {
            "train.names": ["mask", "gender"],
            "train": {"shares": [1.0, 0.9], "words": 'two, "words"'},
        },
    },
    "child": {
        "about": "A child.",
        "base": "base",
        "set": {"train.lr": 0.2, "train.loss": {"name": "g", "b": 2}},
    },
    "other": {"about": "Another one.", "set": {"train.answers": False}},
    "broken": {"about": "It fails.", "set": {"train.lr": 0}},
}


class RecipeProject:
    """The repository; calling it runs a command in it."""

    def __init__(self, root: Path):
        self.root = root
        self.env = {
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for who in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.org"}

    def __call__(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env={**self.env, **env}, capture_output=True, text=True
        )

    def start(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.env,
            start_new_session=True,
            # A shell's background jobs ignore SIGINT, and these tests may be one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def recipe(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self(*LEDGER, "run", *args, **env)

    def params(self) -> dict:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def runs(self) -> list[list[str]]:
        """Return the cells of each line of reports/runs.csv."""
        lines = (self.root / "reports/runs.csv").read_text().splitlines()
        return [line.split(",") for line in lines[1:]]


def make(root: Path) -> RecipeProject:
    """Write the repository and commit it."""
    _write_files(root)
    project = RecipeProject(root)
    dvc = [sys.executable, "-m", "dvc"]  # this Python may lie in a path with a space
    for command in (
        ["git", "init", "-q"],
        [*dvc, "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        assert project(*command).returncode == 0
    return project


def _write_files(root: Path) -> None:
    for name, excluded in (("portrait18", []), ("recipes", ["*.yaml"])):
        ignore = shutil.ignore_patterns("__pycache__", *excluded)
        shutil.copytree(REPO / name, root / name, ignore=ignore)
    for name, recipe in RECIPES.items():
        (root / f"recipes/{name}.yaml").write_text(yaml.safe_dump(recipe))
    (root / "stage.py").write_text(STAGE)
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    metrics = [{f"reports/{name}.json": {"cache": False}} for name in ("metrics", "score", "check")]
    stage = {
        "cmd": "python stage.py",
        "deps": ["stage.py"],
        "params": list(PARAMS),
        "metrics": metrics,
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": stage}}))
    (root / ".gitignore").write_text("__pycache__\n/data\n")
    for data in ("demo", "extra", "my photos"):
        for part in ("train/train.csv", "train/images", "eval/info.csv", "eval/images"):
            (root / "data" / data / part).mkdir(parents=True)
