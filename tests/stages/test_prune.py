"""The stage that removes outputs of runs that the params no longer name."""

from portrait18.core import runs
from stages import prune


def test_predictions_of_runs_that_params_no_longer_name_are_removed(
    tmp_path, monkeypatch, write_params
):
    monkeypatch.chdir(tmp_path)
    changes = {
        "matrix.models": ["mask", "gender", "age-class"],
        "matrix.folds": [0],
        "matrix.seeds": [0],
        "pseudo_label.models": ["mask"],
    }
    write_params(tmp_path / "params.yaml", changes)
    stale = [runs.Run("age-value", 0, 0).predictions, runs.Run("mask", 1, 0).predictions]
    wanted = [
        runs.Run("mask", 0, 0, round=2).predictions,
        runs.Run("gender", 0, 0).predictions,
    ]
    for path in (*stale, *wanted):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    prune.main()
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in wanted)
