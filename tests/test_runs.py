from pathlib import Path

from portrait18 import runs
from portrait18.params import MatrixParams


def test_run_has_a_place_for_each_of_its_files():
    run = runs.Run("age-class", 2, 7)
    assert str(run) == "age-class 2-7"
    assert run.weights == Path("models/age-class/2-7.safetensors")
    assert run.predictions == Path("data/predictions/age-class/2-7.csv")
    assert run.live == Path("reports/train/age-class/2-7")
    assert run.checkpoint == Path(".resume/age-class-2-7.pt")


def test_matrix_asks_for_each_model_fold_and_seed():
    wanted = runs.wanted(MatrixParams(models=["mask", "age"], folds=[1, 0], seeds=[5, 6]))
    assert list(wanted) == ["mask", "age"]
    assert wanted["age"] == [("age", 1, 5), ("age", 1, 6), ("age", 0, 5), ("age", 0, 6)]


def test_outs_of_other_runs_are_forgotten(tmp_path, capsys):
    for name in ("mask/0-0.csv", "mask/1-0.csv", "old/0-0.csv", "live/0-0/scores.csv", "live/1-0/scores.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    runs.forget_others(tmp_path, iter([tmp_path / "mask/0-0.csv", tmp_path / "live/0-0"]))
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    assert left == ["live", "live/0-0", "live/0-0/scores.csv", "mask", "mask/0-0.csv"]
    assert capsys.readouterr().out.count("no longer in the matrix, removed") == 3


def test_forgetting_in_a_folder_that_is_not_there_is_no_error(tmp_path):
    runs.forget_others(tmp_path / "none", [])
