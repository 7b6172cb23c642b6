"""A stage whose params, code or inputs change while it runs is not recorded."""

import pytest
from interruption import EPOCH, Repro

pytestmark = pytest.mark.pipeline
TRAINING = "train@mask-0-0"
EPOCHS = {"train": {"mask": {"epochs": 8, "patience": 0}}}


def edit_param(project) -> None:
    project.set_params({"train": {"mask": {"lr": 0.05}}})


def edit_code(project) -> None:
    path = project.root / "portrait18/training/sampling.py"
    path.write_text(path.read_text() + "\n# An edit.\n")


def edit_input(project) -> None:
    path = project.root / "data/folds.csv"
    content = path.read_text()
    path.unlink()  # a link into DVC's cache
    path.write_text(content + "\n")


EDITS = {
    edit_param: "params.yaml: train.mask.lr was 0.001 when the stage started and is 0.05 now",
    edit_code: "portrait18/training/sampling.py has changed since the stage started",
    edit_input: "data/folds.csv has changed since the stage started",
}


def train_with_an_edit(project, edit) -> str:
    """Run a training, edit after its first epoch; return the output of `dvc repro`."""
    repro = Repro(project, "-s", TRAINING)
    assert repro.wait_for(EPOCH.search), repro.output()
    edit(project)
    repro.wait_for(lambda line: None)
    repro.process.wait()
    return repro.output()


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_during_a_training_is_not_recorded(project, edit):
    project.set_params(EPOCHS)
    before = project.lock()[TRAINING]
    output = train_with_an_edit(project, edit)
    assert "epoch 8/8" in output, output
    assert f"error: {EDITS[edit]}\n" in output
    assert f"{TRAINING} was not recorded" in output
    assert "Traceback" not in output
    assert project.lock()[TRAINING] == before
    assert not (project.root / "models/trained/mask/0-0.safetensors").exists()


def test_undoing_the_edit_keeps_the_finished_work(project):
    project.set_params(EPOCHS)
    params = (project.root / "params.yaml").read_text()
    train_with_an_edit(project, edit_param)
    (project.root / "params.yaml").write_text(params)
    output = project.run("dvc", "repro", "-s", TRAINING)
    assert "resuming after epoch 8 of 8" in output
    assert "epoch 1/8" not in output
    assert project.lock()[TRAINING]["params"]["params.yaml"]["train.mask"]["lr"] == 0.001


def test_an_edit_of_other_params_does_not_matter(project):
    project.set_params(EPOCHS)
    output = train_with_an_edit(
        project, lambda project: project.set_params({"explain": {"photos": 3}})
    )
    assert "error" not in output
    assert project.lock()[TRAINING]["params"]["params.yaml"]["train.mask"]["epochs"] == 8
