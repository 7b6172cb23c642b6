"""The real pipeline, run by DVC on a dozen people."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.pipeline


def test_from_photos_to_a_scored_submission(finished):
    submission = pd.read_csv(finished.root / "data/submission.csv")
    info = pd.read_csv(finished.root / "data/demo/eval/info.csv")
    assert list(submission.ImageID) == list(info.ImageID)
    assert submission.ans.between(0, 17).all()
    figures = json.loads((finished.root / "reports/metrics.json").read_text())
    assert 0 <= figures["macro_f1"] <= 1
    assert figures["photos"] % 7 == 0
    assert {"macro_f1", "accuracy", "loss", "recall", "baseline"} <= set(figures["age"])
    assert json.loads((finished.root / "reports/score.json").read_text()) == {}, (
        "no answers lie beside these photos"
    )
    pictures = {p.name for p in (finished.root / "reports").rglob("*.png")}
    assert {
        "counts.png",
        "train.png",
        "train_fallbacks.png",
        "confusion.png",
        "calibration.png",
        "learning_curves.png",
        "mistakes.png",
        "age_error.png",
        "age-value.png",
    } <= pictures


def test_second_repro_has_nothing_to_do(finished):
    assert finished.repro() == []
    assert "Running stage" not in finished.run("dvc", "repro", "--dry", "--allow-missing")


def test_everything_again_gives_the_same_bytes(project):
    lock = project.root / "dvc.lock"
    before, stages = lock.read_bytes(), project.lock()
    vouched = {out["path"] for stage in stages.values() for out in stage["outs"]}
    assert {
        "models/trained/mask/0-0.safetensors",
        "data/predictions/round1/mask/0-0.csv",
        "data/submission.csv",
    } <= vouched
    shutil.rmtree(project.root / ".resume")  # else the crops would be the last run's
    ran = project.run("dvc", "repro", "--force", PYTHONHASHSEED="7")
    assert ran.count("Running stage") == len(stages)
    assert lock.read_bytes() == before


def test_four_loader_workers_write_what_none_do(project):
    before = project.lock()["train@mask-0-0"]
    project.set_params({"train": {"mask": {"num_workers": 4}}})
    # What it writes is the same, so nothing that reads it runs; the report shows the params.
    assert project.repro() == ["train@mask-0-0", "report"]
    after = project.lock()["train@mask-0-0"]
    assert after["outs"] == before["outs"]
    assert after["params"] != before["params"]


def test_an_experiment_reruns_one_model_and_what_follows(project, stages_of):
    output = project.run(
        "dvc",
        "exp",
        "run",
        "-S",
        "train.age-class.lr=0.0007",
        GIT_AUTHOR_NAME="t",
        GIT_AUTHOR_EMAIL="t@example.org",
        GIT_COMMITTER_NAME="t",
        GIT_COMMITTER_EMAIL="t@example.org",
    )
    ran = stages_of(output)
    assert ran[:2] == ["train@age-class-0-0", "predict@age-class-0-0"]
    follow = {
        "explain@age-class",
        "ensemble",
        "evaluate",
        "export",
        "audit",
        "submit",
        "score",
        "report",
    }
    assert set(ran[2:]) <= follow
    assert "macro_f1" in project.run("dvc", "metrics", "show")
    assert re.search(r"macro_f1", project.run("dvc", "metrics", "diff", "HEAD", "--all"))


def test_one_network_for_the_18_classes_on_two_folds(project):
    project.set_params({"split": {"folds": 2}, "matrix": {"models": ["all"], "folds": [0, 1]}})
    ran = project.repro()
    assert [s for s in ran if s.startswith("train@")] == ["train@all-0-0", "train@all-1-0"]
    left = [p.name for p in (project.root / "data/predictions").glob("*/*")]
    assert left == ["all"], (
        "predictions of models that the matrix no longer names must not count as inputs"
    )
    assert list(json.loads((project.root / "reports/ensemble.json").read_text())) == ["all"]
    held_out = pd.read_csv(project.root / "data/ensemble/validation.csv")
    assert len(held_out) == 12 * 7, "with every fold trained, everybody is held out once"


def test_going_back_to_an_earlier_matrix_trains_nothing(project):
    before = project.lock()
    project.set_params({"matrix": {"models": ["mask", "gender", "age-class"]}})
    assert not [s for s in project.repro() if s.startswith("train")]
    project.set_params({"matrix": {"models": ["mask", "gender", "age-class", "age-value"]}})
    ran = project.run("dvc", "repro")
    assert "stages.train" not in "".join(line for line in ran.splitlines() if line.startswith("> "))
    assert project.lock() == before


def test_a_second_round_learns_from_the_photos_to_label_and_can_be_taken_back(project):
    before = project.lock()
    project.set_params({"pseudo_label": {"models": ["mask"], "confidence": 0.01}})
    output = project.run("dvc", "repro")
    assert "10 of 10 evaluation photos are pseudo-labeled" in output
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    assert ran[:4] == [
        "pseudo_label@mask-0",
        "train_round2@mask-0-0",
        "predict_round2@mask-0-0",
        "ensemble",
    ]
    weights = json.loads((project.root / "reports/ensemble.json").read_text())["mask"]["weights"]
    assert list(weights) == ["mask", "mask-round2"]
    assert (project.root / "models/trained/mask-round2/0-0.safetensors").exists()
    models = yaml.safe_load((project.root / "params.yaml").read_text())["matrix"]["models"]
    project.set_params({"matrix": {"models": [m for m in models if m != "age-value"]}})
    assert "pseudo_label@mask-0" in project.repro()
    assert project.repro() == [], (
        "what a model left that is no longer asked for must not count as an input"
    )
    project.set_params(
        {"matrix": {"models": models}, "pseudo_label": {"models": [], "confidence": 0.9}}
    )
    project.repro()
    after = project.lock()
    assert {name: after[name] for name in before} == before


def test_answers_beside_the_photos_score_the_submission_and_change_nothing_else(project):
    answers = pd.read_csv(project.root / "data/submission.csv").assign(
        ans=lambda t: (t.ans + 6 * (t.index == 0)) % 18
    )
    answers.sample(frac=1, random_state=0).to_csv(
        project.root / "data/demo/eval/answers.csv", index=False
    )
    assert project.repro() == ["score", "report"]
    figures = json.loads((project.root / "reports/score.json").read_text())
    assert figures["accuracy"] == pytest.approx(1 - 1 / len(answers))
    assert figures["gender"]["accuracy"] == 1
    assert "score.json" in project.run("dvc", "metrics", "show")


def test_bad_data_stops_before_any_work_with_all_problems_listed(project, stages_of):
    images = project.root / "data/demo/train/images"
    first, second, *_ = sorted(images.iterdir())
    (first / "normal.jpg").write_text("no photo")
    (second / "normal.jpg").unlink()
    (images / "somebody").mkdir()
    output = project.run("dvc", "repro", check=False)
    assert stages_of(output) == ["check"]
    for part in (
        f"{first.name}/normal.jpg cannot be decoded",
        f"{second.name}/normal.jpg is missing",
        "'somebody' does not parse",
    ):
        assert part in output
    assert "Traceback" not in output


def test_misspelt_param_is_named_with_the_nearest(project):
    project.set_params({"train": {"common": {"weigth_decay": 0.1}}})
    output = project.run("dvc", "repro", check=False)
    assert "train.common.weigth_decay is not a param; did you mean weight_decay?" in output
    assert "Traceback" not in output
