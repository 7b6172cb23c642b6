"""Every file of the project that a stage opens is declared in dvc.yaml: read as a dep or param, written as an out."""

import shutil
import sys
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def watched(finished, tmp_path_factory):
    """A copy of the finished project in which stage after stage is run again."""
    root = tmp_path_factory.mktemp("watched") / "copy"
    shutil.copytree(finished.root, root, symlinks=True)
    shutil.rmtree(root / ".resume")  # else the crops would be the last run's, and no photo be opened
    return type(finished)(root)


def undeclared(project, stage: str) -> list[str]:
    """Run a stage under the hook; `r PATH` and `w PATH` for what it opens beyond what the lock names."""
    lock = project.lock()[stage]
    *_, module = lock["cmd"].split()[:3]
    arguments = lock["cmd"].split()[3:]
    log = project.root.parent / "opened.txt"
    log.unlink(missing_ok=True)
    project.run(sys.executable, str(SPY), str(log), module, *arguments, PYTHONDONTWRITEBYTECODE="1")

    reads = [entry["path"] for entry in lock["deps"]] + ["params.yaml"]
    writes = [entry["path"] for entry in lock["outs"]]

    def within(path: str, places: list[str]) -> bool:
        return any(path == place or path.startswith(f"{place}/") for place in places)

    found = []
    for how, path in (line.split(" ", 1) for line in sorted(set(log.read_text().splitlines()))):
        # .resume holds the progress of a killed run, whose fingerprint is made of all the library's source. DVCLive
        # looks whose repository it is in. A file is written aside under a name that begins with a dot.
        own = path.startswith((".resume/", ".dvc/", ".git/")) or Path(path).name.startswith(".")
        own = (
            own
            or "__pycache__" in path
            or path.startswith("__editable__")
            or how == "r"
            and path.startswith("portrait18/")
        )
        if not own and not within(path, writes if how == "w" else reads + writes):
            found.append(f"{how} {path}")
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_opens_is_declared(watched, stage):
    # DVC's links to its cache are read-only: a stage that is run without it needs files of its own.
    for entry in watched.lock()[stage]["outs"]:
        path = watched.root / entry["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert undeclared(watched, stage) == []


def test_a_planted_read_and_a_planted_write_are_found(project):
    (project.root / "data/secret.csv").write_text("a\n1\n")
    stage = project.root / "stages/split.py"
    planted = "    open('data/secret.csv').read(); open('data/leak.csv', 'w').close()\n"
    stage.write_text(stage.read_text().replace("def main() -> None:\n", f"def main() -> None:\n{planted}"))
    (project.root / "data/folds.csv").unlink()
    assert undeclared(project, "split") == ["r data/secret.csv", "w data/leak.csv"]


def test_every_kind_of_stage_is_watched(finished):
    kinds = {name.split("@")[0] for name in finished.lock()}
    assert kinds == {name.split("@")[0] for name in STAGES}
