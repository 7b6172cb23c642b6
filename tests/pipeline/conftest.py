"""A small copy of the project, in which the tests run real `dvc` commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from small_params import SMALL
from synthetic import REPO

from recipes.values import merge

SOURCES = (
    "portrait18",
    "stages",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "data/label_fixes.csv",
    "data/extra",
)
PEOPLE, EVAL_PHOTOS = 12, 10


class Project:
    """A folder with the pipeline in it."""

    def __init__(self, root: Path):
        self.root = root

    def run(self, *command: str, check: bool = True, **env: str) -> str:
        """Run a command with this Python's programs first on the path; return stdout and stderr."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, "PATH": path, "PYTHONPATH": "", **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        name = " ".join(command)
        assert not check or done.returncode == 0, (
            f"{name} exited with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    def repro(self, *args: str) -> list[str]:
        """Run `dvc repro`; return the names of the stages that ran."""
        return stages_run(self.run("dvc", "repro", *args))

    def lock(self) -> dict:
        return yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]

    def set_params(self, changes: dict) -> None:
        path = self.root / "params.yaml"
        params = merge(yaml.safe_load(path.read_text()), changes)
        path.write_text(yaml.safe_dump(params, sort_keys=False))


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture
def stages_of():
    return stages_run


def copy_demo(data: Path) -> None:
    """Copy the first people and evaluation photos of the demo."""
    demo = REPO / "data/demo"
    (data / "train/images").mkdir(parents=True)
    (data / "eval/images").mkdir(parents=True)
    lines = (demo / "train/train.csv").read_text().splitlines()[: PEOPLE + 1]
    (data / "train/train.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        folder = line.split(",")[-1]
        shutil.copytree(demo / "train/images" / folder, data / "train/images" / folder)
    lines = (demo / "eval/info.csv").read_text().splitlines()[: EVAL_PHOTOS + 1]
    (data / "eval/info.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        shutil.copy(demo / "eval/images" / line.split(",")[0], data / "eval/images")


def make_project(root: Path) -> Project:
    """Create a git and DVC repository with the sources and a part of the demo data."""
    root.mkdir(parents=True)
    for name in SOURCES:
        source, target = REPO / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    params = yaml.safe_load((REPO / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(merge(params, SMALL), sort_keys=False))
    copy_demo(root / "data/demo")
    project = Project(root)
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    shutil.copy(REPO / ".dvc/config", root / ".dvc/config")
    project.run("git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    project.run(
        "git", *identity, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "start"
    )
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project after its first `dvc repro`, shared by all test processes: never change it."""
    base = tmp_path_factory.getbasetemp()
    parent = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = parent / "a project"  # the space in the path is part of the test
    with FileLock(f"{root}.lock"):
        if not root.exists():
            made = make_project(root.with_name("unfinished project"))
            made.repro()
            made.root.rename(root)
    return Project(root)


@pytest.fixture
def fresh_project(tmp_path) -> Project:
    """A project in which nothing has run."""
    return make_project(tmp_path / "fresh")


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished project, free to change."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")
