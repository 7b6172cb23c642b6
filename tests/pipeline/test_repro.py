"""The real pipeline, run by DVC on a dozen people."""

import json
import shutil

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.pipeline
#: Stages that depend on the predictions of any model.
DOWNSTREAM = {"ensemble", "evaluate", "explain", "export", "audit", "submit", "score", "report"}
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@example.org"))
}


def test_the_pipeline_leads_from_photos_to_a_submission(finished):
    submission = pd.read_csv(finished.root / "data/submission.csv")
    info = pd.read_csv(finished.root / "data/demo/eval/info.csv")
    assert list(submission.ImageID) == list(info.ImageID)
    assert submission.ans.between(0, 17).all()
    metrics = json.loads((finished.root / "reports/metrics.json").read_text())
    assert 0 <= metrics["macro_f1"] <= 1
    assert metrics["photos"] % 7 == 0
    assert {"macro_f1", "accuracy", "loss", "recall", "baseline"} <= set(metrics["age"])
    score = json.loads((finished.root / "reports/score.json").read_text())
    assert score == {}, "this data set has no answers.csv"
    pictures = {p.name for p in (finished.root / "reports").rglob("*.png")}
    assert pictures >= {
        "counts.png",
        "train.png",
        "train_fallbacks.png",
        "confusion.png",
        "calibration.png",
        "learning_curves.png",
        "mistakes.png",
        "age_error.png",
        "age-value.png",
    }


def test_a_second_repro_runs_nothing(finished):
    assert finished.repro() == []
    assert "Running stage" not in finished.run("dvc", "repro", "--dry", "--allow-missing")


def test_a_forced_repro_writes_the_same_bytes(project):
    lock = project.root / "dvc.lock"
    before, stages = lock.read_bytes(), project.lock()
    outputs = {out["path"] for stage in stages.values() for out in stage["outs"]}
    assert outputs >= {
        "models/trained/mask/0-0.safetensors",
        "data/predictions/round1/mask",
        "data/submission.csv",
    }
    shutil.rmtree(project.root / ".resume")  # else the crops would be reused
    output = project.run("dvc", "repro", "--force", PYTHONHASHSEED="7")
    assert output.count("Running stage") == len(stages)
    assert lock.read_bytes() == before


def test_the_number_of_loader_workers_changes_no_output(project):
    before = project.lock()["train@mask-0-0"]
    project.set_params({"train": {"mask": {"num_workers": 4}}})
    # The outputs are equal, so no stage that reads them runs. The report shows the params.
    assert project.repro() == ["train@mask-0-0", "report"]
    after = project.lock()["train@mask-0-0"]
    assert after["outs"] == before["outs"]
    assert after["params"] != before["params"]


def test_an_experiment_retrains_one_model_and_runs_what_follows(project, stages_of):
    changes = ("-S", "train.age-class.lr=0.0007")
    ran = stages_of(project.run("dvc", "exp", "run", *changes, **IDENTITY))
    assert ran[:2] == ["train@age-class-0-0", "predict@age-class"]
    assert set(ran[2:]) <= DOWNSTREAM
    assert "macro_f1" in project.run("dvc", "metrics", "show")
    assert "macro_f1" in project.run("dvc", "metrics", "diff", "HEAD", "--all")


def test_one_network_for_the_18_classes_on_two_folds(project):
    project.set_params({"split": {"folds": 2}, "matrix": {"models": ["all"], "folds": [0, 1]}})
    ran = project.repro()
    assert [s for s in ran if s.startswith("train@")] == ["train@all-0-0", "train@all-1-0"]
    left = [p.name for p in (project.root / "data/predictions").glob("*/*")]
    assert left == ["all"], "predictions of other models must not count as inputs"
    report = json.loads((project.root / "reports/ensemble.json").read_text())
    assert list(report) == ["all", "temperatures"]
    validation = pd.read_csv(project.root / "data/ensemble/validation.csv")
    assert len(validation) == 12 * 7, "with every fold trained, everybody is validated once"


def test_an_earlier_matrix_trains_nothing(project):
    before = project.lock()
    project.set_params({"matrix": {"models": ["mask", "gender", "age-class"]}})
    assert not [s for s in project.repro() if s.startswith("train")]
    project.set_params({"matrix": {"models": ["mask", "gender", "age-class", "age-value"]}})
    output = project.run("dvc", "repro")
    commands = [line for line in output.splitlines() if line.startswith("> ")]
    assert not [command for command in commands if "stages train" in command]
    assert project.lock() == before


def test_a_pseudo_label_round_trains_on_the_evaluation_set_and_can_be_undone(project, stages_of):
    before = project.lock()
    project.set_params({"pseudo_label": {"models": ["mask"], "confidence": 0.01}})
    output = project.run("dvc", "repro")
    assert "10 of 10 evaluation photos" in output
    assert stages_of(output)[:4] == [
        "pseudo_label@mask-0",
        "train_round2@mask-0-0",
        "predict_round2@mask",
        "ensemble",
    ]
    weights = json.loads((project.root / "reports/ensemble.json").read_text())["mask"]["weights"]
    assert list(weights) == ["mask", "mask-round2"]
    assert (project.root / "models/trained/mask-round2/0-0.safetensors").exists()
    models = yaml.safe_load((project.root / "params.yaml").read_text())["matrix"]["models"]
    project.set_params({"matrix": {"models": [m for m in models if m != "age-value"]}})
    assert "pseudo_label@mask-0" in project.repro()
    assert project.repro() == [], "outputs of a removed model must not count as inputs"
    project.set_params(
        {"matrix": {"models": models}, "pseudo_label": {"models": [], "confidence": 0.9}}
    )
    project.repro()
    after = project.lock()
    assert {name: after[name] for name in before} == before


def test_answers_next_to_the_photos_score_the_submission_and_change_nothing_else(project):
    answers = pd.read_csv(project.root / "data/submission.csv")
    answers.loc[0, "ans"] = (answers.ans[0] + 6) % 18  # another mask class
    path = project.root / "data/demo/eval/answers.csv"
    answers.sample(frac=1, random_state=0).to_csv(path, index=False)
    assert project.repro() == ["score", "report"]
    score = json.loads((project.root / "reports/score.json").read_text())
    assert score["accuracy"] == pytest.approx(1 - 1 / len(answers))
    assert score["gender"]["accuracy"] == 1
    assert "score.json" in project.run("dvc", "metrics", "show")


def test_bad_data_stop_the_pipeline_before_any_work_with_all_problems_listed(project, stages_of):
    images = project.root / "data/demo/train/images"
    first, second, *_ = sorted(images.iterdir())
    (first / "normal.jpg").write_text("no photo")
    (second / "normal.jpg").unlink()
    (images / "somebody").mkdir()
    output = project.run("dvc", "repro", check=False)
    assert stages_of(output) == ["check"]
    assert f"{first.name}/normal.jpg cannot be decoded" in output
    assert f"{second.name}/normal.jpg is missing" in output
    assert "somebody" in output
    assert "Traceback" not in output


def test_a_misspelt_param_is_named_with_the_nearest(project):
    project.set_params({"train": {"common": {"weigth_decay": 0.1}}})
    output = project.run("dvc", "repro", check=False)
    assert "train.common.weigth_decay" in output
    assert "did you mean weight_decay?" in output
    assert "Traceback" not in output
