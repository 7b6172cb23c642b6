"""A small copy of the project that real `dvc` commands run in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "portrait18",
    "stages",
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "data/label_fixes.csv",
    "data/extra",
)
#: Quick to train, and every kind of model: what is tested is the machine, not the scores.
SMALL = {
    "crop": {"image_size": 64},
    "train": {
        "common": {
            "weights": "none",
            "backbone": "mobilenetv3_small_050",
            "image_size": 32,
            "sampling": {"balance": 0.0, "per_person": 3},
        },
        "mask": {"epochs": 2},
        "age-class": {"epochs": 1},
        "age-value": {"epochs": 1},
        "all": {"epochs": 1},
    },
    "predict": {"batch_size": 4},  # a dozen people make more than one batch
}


#: Sources with a number made smaller: a dozen people have to make more than one chunk.
CHUNKS = {"portrait18/cropping/builder.py": ("CHUNK = 256", "CHUNK = 12")}


def merge(base: dict, changes: dict) -> dict:
    return {
        **base,
        **{
            k: merge(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v
            for k, v in changes.items()
        },
    }


class Project:
    """A folder with the pipeline in it."""

    def __init__(self, root: Path):
        self.root = root

    def run(self, *command: str, check: bool = True, **env: str) -> str:
        """Run a command with this Python's programs first on the path; both outputs together."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": "", **env}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    def repro(self, *args: str) -> list[str]:
        """Names of the stages that `dvc repro` ran."""
        return stages_run(self.run("dvc", "repro", *args))

    def lock(self) -> dict:
        return yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]

    def set_params(self, changes: dict) -> None:
        path = self.root / "params.yaml"
        path.write_text(
            yaml.safe_dump(merge(yaml.safe_load(path.read_text()), changes), sort_keys=False)
        )


def stages_run(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture
def stages_of():
    return stages_run


def make_project(root: Path) -> Project:
    """A fresh repository of the sources, with twelve people and ten photos to label of the demo data."""
    root.mkdir(parents=True)
    for name in SOURCES:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name, (usual, small) in CHUNKS.items():
        text = (root / name).read_text()
        assert usual in text, f"{name}: {usual} is no longer there to be made smaller"
        (root / name).write_text(text.replace(usual, small))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(merge(params, SMALL), sort_keys=False))
    demo, data = ROOT / "data/demo", root / "data/demo"
    lines = (demo / "train/train.csv").read_text().splitlines()[:13]
    (data / "train/images").mkdir(parents=True)
    (data / "eval/images").mkdir(parents=True)
    (data / "train/train.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        folder = line.split(",")[-1]
        shutil.copytree(demo / "train/images" / folder, data / "train/images" / folder)
    lines = (demo / "eval/info.csv").read_text().splitlines()[:11]
    (data / "eval/info.csv").write_text("\n".join(lines) + "\n")
    for line in lines[1:]:
        shutil.copy(demo / "eval/images" / line.split(",")[0], data / "eval/images")
    project = Project(root)
    git = (
        "git",
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    )
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", root / ".dvc/config")
    project.run("git", "add", "--all")
    project.run(*git, "commit", "--quiet", "--message", "start")
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project after its first `dvc repro`, made once for all processes; tests that change it work on a copy."""
    base = tmp_path_factory.getbasetemp()
    root = (
        base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    ) / "a project"  # the space is part of the test
    with FileLock(f"{root}.lock"):
        if not root.exists():
            made = make_project(root.with_name("being made"))
            made.repro()
            made.root.rename(root)
    return Project(root)


@pytest.fixture
def fresh_project(tmp_path) -> Project:
    """A project in which nothing has run yet."""
    return make_project(tmp_path / "fresh")


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished project to change."""
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")
