"""What an edit of the code invalidates: nothing for plumbing, the stages that use it otherwise."""

import pytest
from interruption import EPOCH, Repro

pytestmark = pytest.mark.pipeline


def append_comment(path) -> None:
    path.write_text(path.read_text() + "\n# An edit.\n")


def test_an_edit_of_core_invalidates_no_stage(project):
    for module in (project.root / "portrait18/core").glob("*.py"):
        append_comment(module)
    assert project.run("dvc", "status").strip() == "Data and pipelines are up to date."
    assert project.repro() == []


def test_an_edit_of_the_server_invalidates_no_stage(project):
    for module in (project.root / "portrait18/server").glob("*.py"):
        append_comment(module)
    assert project.run("dvc", "status").strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize(
    ("module", "resumes"),
    [("portrait18/server/app.py", True), ("portrait18/training/sampling.py", False)],
)
def test_a_killed_training_resumes_unless_its_own_code_is_edited(project, module, resumes):
    project.set_params({"train": {"mask": {"epochs": 60, "patience": 0}}})
    repro = Repro(project, "-s", "train@mask-0-0")
    assert repro.wait_for(EPOCH.search), repro.output()
    assert repro.wait_for(EPOCH.search), repro.output()
    repro.kill()
    append_comment(project.root / module)
    project.set_params({"train": {"mask": {"epochs": 60, "patience": 0}}})
    output = project.run("dvc", "repro", "-s", "train@mask-0-0")
    assert ("resuming after epoch" in output) == resumes
    assert ("epoch 1/60" in output) != resumes


def test_dvc_commit_accepts_an_edit_that_changes_no_output(project):
    before = project.lock()["train@mask-0-0"]
    append_comment(project.root / "portrait18/training/sampling.py")
    assert "train@mask-0-0" in project.run("dvc", "status")
    project.run("dvc", "commit", "--force", "train@mask-0-0")
    after = project.lock()["train@mask-0-0"]
    assert after["outs"] == before["outs"]
    assert after["deps"] != before["deps"]
    assert "train@mask-0-0" not in project.run("dvc", "status")
