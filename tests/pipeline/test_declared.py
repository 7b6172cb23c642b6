"""dvc.yaml declares every project file that a stage opens: reads as deps, writes as outs."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from small_params import FROZEN as FROZEN_PARAMS

pytestmark = pytest.mark.pipeline
SPY = Path(__file__).with_name("spy.py")
STAGES = [
    "check",
    "label",
    "split",
    "crop@train",
    "crop@eval",
    "crop_report",
    "group",
    "train@mask-0-0",
    "train@age-value-0-0",
    "predict@age-value",
    "ensemble",
    "evaluate",
    "export",
    "explain",
    "audit",
    "submit",
    "score",
    "report",
]
FROZEN = ["features@tf_efficientnet_lite0-train", "fit@gender"]
ROUND2 = ["pseudo_label@mask-0", "train_round2@mask-0-0", "predict_round2@mask"]


@pytest.fixture(scope="module")
def watched(finished, tmp_path_factory):
    """A copy of the finished project in which one stage after the other runs again."""
    root = tmp_path_factory.mktemp("watched") / "copy"
    shutil.copytree(finished.root, root, symlinks=True)
    shutil.rmtree(root / ".resume")  # else crops would be reused and no photo opened
    return type(finished)(root)


def is_exempt(mode: str, path: str) -> bool:
    """Return whether an opened file needs no declaration.

    .resume holds the progress of killed runs. dvc.yaml and the sources
    are the stage's fingerprint; test_dvc_yaml.py compares them with the imports. Files are first
    written under a temporary name that starts with a dot.
    """
    if path.startswith((".resume/", ".dvc/", ".git/", "__editable__")):
        return True
    if Path(path).name.startswith(".") or "__pycache__" in path:
        return True
    # The entry point reads the arithmetic; stages whose results depend on it list `compute`.
    return mode == "r" and (path in ("dvc.yaml", "params.yaml") or path.endswith(".py"))


def undeclared(project, stage: str) -> list[str]:
    """Run a stage under the hook; return `r PATH` and `w PATH` of undeclared files."""
    with Repo(project.root) as repo:
        (declared,) = repo.stage.collect(f"{project.root / 'dvc.yaml'}:{stage}")
    command = declared.cmd if isinstance(declared.cmd, str) else declared.cmd[-1]
    _, _, module, *arguments = command.split()
    reads = [dep.def_path for dep in declared.deps]  # params.yaml is one
    writes = [out.def_path for out in declared.outs]
    # DVC's links to its cache are read-only: a stage that runs without DVC needs files of its own.
    for path in (project.root / out for out in writes):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    log = project.root.parent / "opened.txt"
    log.unlink(missing_ok=True)
    spy = (sys.executable, str(SPY), str(log), module, *arguments)
    project.run(*spy, PYTHONDONTWRITEBYTECODE="1")

    def within(path: str, places: list[str]) -> bool:
        return any(path == place or path.startswith(f"{place}/") for place in places)

    opened = (line.split(" ", 1) for line in sorted(set(log.read_text().splitlines())))
    return [
        f"{mode} {path}"
        for mode, path in opened
        if not is_exempt(mode, path) and not within(path, writes if mode == "w" else reads + writes)
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_opens_is_declared(watched, stage):
    assert undeclared(watched, stage) == []


def test_every_file_that_round_2_opens_is_declared(project):
    project.set_params({"pseudo_label": {"models": ["mask"], "confidence": 0.01}})
    assert {stage: undeclared(project, stage) for stage in ROUND2} == {s: [] for s in ROUND2}


def test_every_file_that_frozen_models_open_is_declared(project):
    project.set_params(FROZEN_PARAMS)
    project.repro("fit@gender")
    assert {stage: undeclared(project, stage) for stage in FROZEN} == {s: [] for s in FROZEN}


def test_planted_reads_and_a_planted_write_are_found(project):
    (project.root / "data/secret.csv").write_text("a\n1\n")
    stage = project.root / "stages/split.py"
    weights = "models/trained/mask/0-0.safetensors"
    planted = (
        "    open('data/secret.csv').read(); open('data/leak.csv', 'w').close()\n"
        f"    from safetensors.torch import load_file; load_file('{weights}')\n"
    )
    head = "def main() -> None:\n"
    assert head in stage.read_text()
    stage.write_text(stage.read_text().replace(head, head + planted))
    assert undeclared(project, "split") == [
        "r data/secret.csv",
        f"r {weights}",
        "w data/leak.csv",
    ]


def test_every_kind_of_stage_is_watched(finished):
    kinds = set(yaml.safe_load((finished.root / "dvc.yaml").read_text())["stages"])
    assert kinds == {name.split("@")[0] for name in STAGES + ROUND2 + FROZEN}
