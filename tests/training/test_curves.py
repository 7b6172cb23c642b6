import json

import pandas as pd

from portrait18.training.curves import LearningCurves


def test_each_metric_has_a_file_with_a_row_for_each_epoch(tmp_path):
    curves = LearningCurves(tmp_path / "run")
    curves.log({"epoch": 0, "loss": 0.5, "lr": 1e-5})
    curves.log({"epoch": 1, "loss": 0.25, "lr": 0.0})
    plots = tmp_path / "run/plots/metrics"
    assert sorted(path.name for path in plots.iterdir()) == ["loss.tsv", "lr.tsv"]
    assert (plots / "loss.tsv").read_text() == "step\tloss\n0\t0.5\n1\t0.25\n"
    assert pd.read_csv(plots / "lr.tsv", sep="\t").lr.tolist() == [1e-5, 0.0]
    summary = json.loads((tmp_path / "run/metrics.json").read_text())
    assert summary == {"loss": 0.25, "lr": 0.0, "step": 1}


def test_curves_of_an_earlier_run_are_removed(tmp_path):
    LearningCurves(tmp_path).log({"accuracy": 1.0})
    LearningCurves(tmp_path).log({"loss": 0.5})
    assert [path.name for path in (tmp_path / "plots/metrics").iterdir()] == ["loss.tsv"]
