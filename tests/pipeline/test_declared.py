"""Every file of the project that a stage opens is declared in dvc.yaml: read as a dep or param, written as an out."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

pytestmark = pytest.mark.pipeline
SPY = Path(__file__).with_name("spy.py")
STAGES = [
    "check",
    "label",
    "split",
    "crop@train",
    "crop@eval",
    "group",
    "train@mask-0-0",
    "train@age-value-0-0",
    "predict@age-value-0-0",
    "ensemble",
    "evaluate",
    "export",
    "explain@age-value",
    "audit",
    "submit",
    "score",
    "report",
]


SECOND = ["pseudo_label@mask-0", "train_round2@mask-0-0", "predict_round2@mask-0-0"]


@pytest.fixture(scope="module")
def watched(finished, tmp_path_factory):
    """A copy of the finished project in which stage after stage is run again."""
    root = tmp_path_factory.mktemp("watched") / "copy"
    shutil.copytree(finished.root, root, symlinks=True)
    shutil.rmtree(
        root / ".resume"
    )  # else the crops would be the last run's, and no photo be opened
    return type(finished)(root)


def undeclared(project, stage: str) -> list[str]:
    """Run a stage under the hook; `r PATH` and `w PATH` for what it opens beyond what dvc.yaml names."""
    with Repo(project.root) as repo:
        (declared,) = repo.stage.collect(f"{project.root / 'dvc.yaml'}:{stage}")
    _, _, module, *arguments = declared.cmd.split()
    reads = [dep.def_path for dep in declared.deps]  # params.yaml is one
    writes = [out.def_path for out in declared.outs]
    # DVC's links to its cache are read-only: a stage that is run without it needs files of its own.
    for path in (project.root / out for out in writes):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    log = project.root.parent / "opened.txt"
    log.unlink(missing_ok=True)
    project.run(sys.executable, str(SPY), str(log), module, *arguments, PYTHONDONTWRITEBYTECODE="1")

    def within(path: str, places: list[str]) -> bool:
        return any(path == place or path.startswith(f"{place}/") for place in places)

    found = []
    for how, path in (line.split(" ", 1) for line in sorted(set(log.read_text().splitlines()))):
        # .resume holds the progress of a killed run, whose fingerprint is made of all the library's source. DVCLive
        # looks whose repository it is in. A file is written temporary under a name that begins with a dot.
        own = path.startswith((".resume/", ".dvc/", ".git/")) or Path(path).name.startswith(".")
        # tests/pipeline/test_dvc_yaml.py holds the modules against the imports.
        own = (
            own
            or "__pycache__" in path
            or path.startswith("__editable__")
            or (how == "r" and path.startswith("portrait18/") and path.endswith(".py"))
        )
        if not own and not within(path, writes if how == "w" else reads + writes):
            found.append(f"{how} {path}")
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_opens_is_declared(watched, stage):
    assert undeclared(watched, stage) == []


def test_what_the_second_round_opens_is_declared(project):
    project.set_params({"pseudo_label": {"models": ["mask"], "confidence": 0.01}})
    assert {stage: undeclared(project, stage) for stage in SECOND} == {
        stage: [] for stage in SECOND
    }


def test_planted_reads_and_a_planted_write_are_found(project):
    (project.root / "data/secret.csv").write_text("a\n1\n")
    stage = project.root / "stages/split.py"
    weights, template = (
        "models/trained/mask/0-0.safetensors",
        "portrait18/visualization/report_page.html.jinja",
    )
    planted = "    open('data/secret.csv').read(); open('data/leak.csv', 'w').close()\n"
    planted += f"    from safetensors.torch import load_file; load_file('{weights}'); open('{template}').close()\n"
    stage.write_text(
        stage.read_text().replace("def main() -> None:\n", f"def main() -> None:\n{planted}")
    )
    assert undeclared(project, "split") == [
        "r data/secret.csv",
        f"r {weights}",
        f"r {template}",
        "w data/leak.csv",
    ]


def test_every_kind_of_stage_is_watched(finished):
    kinds = set(yaml.safe_load((finished.root / "dvc.yaml").read_text())["stages"])
    assert kinds == {name.split("@")[0] for name in STAGES + SECOND}
