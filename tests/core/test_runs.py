import os
import shutil
from pathlib import Path

import pytest

from portrait18.core import files, runs
from portrait18.core.errors import UserError
from portrait18.core.params import MatrixParams, PseudoLabelParams


def test_a_run_has_a_path_for_each_of_its_files():
    run = runs.Run("age-class", 2, 7)
    assert str(run) == "age-class 2-7"
    assert run.weights == Path("models/trained/age-class/2-7.safetensors")
    assert run.predictions == Path("data/predictions/round1/age-class/2-7.csv")
    assert run.live == Path("reports/train/age-class/2-7")
    assert run.checkpoint == Path(".resume/age-class-2-7.pt")


def test_the_two_rounds_share_no_files():
    first, second = runs.Run.parse("age", "2", "7"), runs.Run.parse("age", "2", "7", "2")
    assert (first.fold, first.seed, first.round, second.round) == (2, 7, 1, 2)
    assert second.predictions == Path("data/predictions/round2/age/2-7.csv")
    assert second.pseudo_labels == Path("data/pseudo_labels/age-2.csv")
    for words in (("2", "7", "3"), ("x", "7"), ("2", "-1"), ("2", "")):
        with pytest.raises(UserError, match="must be"):
            runs.Run.parse("age", *words)
    for file in ("weights", "predictions", "live", "checkpoint", "name"):
        assert getattr(first, file) != getattr(second, file)


def test_the_matrix_gives_each_model_fold_and_seed_in_each_round():
    matrix = MatrixParams(models=["mask", "age"], frozen=["gender"], folds=[1, 0], seeds=[5, 6])
    wanted = runs.runs_by_model(matrix, PseudoLabelParams(models=["age"], confidence=0.9))
    assert list(wanted) == ["mask", "age", "gender", "age-round2"]
    assert [run[:3] for run in wanted["age"]] == [
        ("age", 1, 5),
        ("age", 1, 6),
        ("age", 0, 5),
        ("age", 0, 6),
    ]
    assert wanted["gender"] == runs.model_runs(matrix, "gender")
    assert wanted["age-round2"] == [run._replace(round=2) for run in wanted["age"]]


def test_outputs_of_other_runs_are_removed(tmp_path, capsys):
    for name in (
        "mask/0-0.csv",
        "mask/1-0.csv",
        "old/0-0.csv",
        "live/0-0/scores.csv",
        "live/1-0/scores.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "stray.csv").write_text("")
    runs.remove_stale_outputs(tmp_path, [tmp_path / "mask/0-0.csv", tmp_path / "live/0-0"])
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert left == ["live", "live/0-0", "live/0-0/scores.csv", "mask", "mask/0-0.csv"]
    assert capsys.readouterr().out.count("the params no longer name it") == 4


def test_a_file_that_another_job_is_writing_is_not_stale(tmp_path):
    wanted, done = tmp_path / "mask/0-0.csv", tmp_path / "mask/0-1.csv"
    with files.atomic_write(wanted) as pending:
        pending.write_text("new")
        done.write_text("")
        killed = files.temporary_path(done)  # nobody will replace it: its output exists
        killed.write_text("")
        runs.remove_stale_outputs(tmp_path, [wanted, done])
        assert not killed.exists()
    assert wanted.read_text() == "new"
    assert sorted(path.name for path in wanted.parent.iterdir()) == ["0-0.csv", "0-1.csv"]


def test_two_jobs_may_remove_the_same_outputs(tmp_path, monkeypatch):
    for name in ("old/0-0.csv", "stray.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    rmtree, unlink = shutil.rmtree, Path.unlink
    monkeypatch.setattr(shutil, "rmtree", lambda path: (rmtree(path), rmtree(path)))
    monkeypatch.setattr(Path, "unlink", lambda path: (unlink(path), unlink(path)))
    runs.remove_stale_outputs(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_has_no_stale_outputs(tmp_path):
    runs.remove_stale_outputs(tmp_path / "none", [])


def test_checkpoints_of_trained_models_are_removed_except_of_the_current_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, again = runs.Run("age-class", 0, 0), runs.Run("age-class", 0, 0, round=2)
    half, current = runs.Run("age-value", 1, 10), runs.Run("mask", 0, 0)
    for run in (done, again, half, current):
        run.checkpoint.parent.mkdir(exist_ok=True)
        run.checkpoint.touch()
    for run in (done, again, current):
        run.weights.parent.mkdir(parents=True)
        run.weights.touch()
    runs.remove_stale_progress(keep=[current.checkpoint])
    assert sorted(p.name for p in runs.RESUME.iterdir()) == ["age-value-1-10.pt", "mask-0-0.pt"]
    runs.remove_stale_progress()
    assert [p.name for p in runs.RESUME.iterdir()] == ["age-value-1-10.pt"]


@pytest.mark.parametrize("link", [True, False])
def test_progress_is_kept_until_dvc_has_recorded_its_output(tmp_path, monkeypatch, link):
    monkeypatch.chdir(tmp_path)
    work, output = runs.features_work("sface", "eval"), runs.features("sface", "eval")
    for path in (work, output, runs.LOCK):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(runs.LOCK, (100, 100))
    os.utime(output, (101, 101))
    runs.remove_stale_progress()
    assert work.exists()
    if link:  # DVC protects it
        output.chmod(0o444)
    else:
        os.utime(runs.LOCK, (102, 102))
    runs.remove_stale_progress()
    assert not work.exists()


def test_journals_of_finished_predictions_are_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, again, half = (
        runs.Run("age-class", 0, 0),
        runs.Run("mask", 0, 1, round=2),
        runs.Run("mask", 0, 1),
    )
    for run in (done, again, half):
        for which in ("train", "eval"):
            run.journal(which).parent.mkdir(exist_ok=True)
            run.journal(which).touch()
    for run in (done, again):
        run.predictions.parent.mkdir(parents=True)
        run.predictions.touch()
    kept = [again.journal("eval")]
    runs.remove_stale_progress(keep=kept)
    assert set(runs.RESUME.iterdir()) == {*kept, half.journal("train"), half.journal("eval")}
    runs.remove_stale_progress()
    assert set(runs.RESUME.iterdir()) == {half.journal("train"), half.journal("eval")}


def test_progress_of_finished_features_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done, half = runs.features_work("a_b-c", "train"), runs.features_work("a_b-c", "eval")
    for work in (done, half):
        work.parent.mkdir(exist_ok=True)
        work.touch()
        work.with_suffix(".bin").touch()
    runs.features("a_b-c", "train").parent.mkdir(parents=True)
    runs.features("a_b-c", "train").touch()
    runs.remove_stale_progress()
    assert set(runs.RESUME.iterdir()) == {half, half.with_suffix(".bin")}
