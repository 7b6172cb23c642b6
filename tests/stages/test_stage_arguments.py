"""`python -m stages NAME ...` by hand: wrong arguments and a malformed params.yaml."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import REPO

from portrait18.core.errors import UserError
from stages import predict, pseudo_label, train
from stages.__main__ import check_arguments


def run_stage(*words: str) -> tuple[int, list[str]]:
    """Return the exit status and the lines on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "stages", *words],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        text=True,
        stderr=subprocess.PIPE,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("function", "words", "usage"),
    [
        (train.main, ["mask"], "train MODEL FOLD SEED [ROUND]"),
        (train.main, ["mask", "0", "0", "1", "2"], "train MODEL FOLD SEED [ROUND]"),
        (predict.main, [], "predict MODEL [ROUND]"),
        (pseudo_label.main, ["mask"], "pseudo_label MODEL FOLD"),
    ],
)
def test_missing_and_superfluous_arguments_show_the_usage(function, words, usage):
    name = usage.split()[0]
    with pytest.raises(UserError) as caught:
        check_arguments(name, function, words)
    (line,) = caught.value.problems
    assert line.startswith(f"stage {name} does not take {' '.join(words) or 'no arguments'};")
    assert f"python -m stages {usage} (" in line


def test_wrong_arguments_of_a_stage_are_one_line():
    status, lines = run_stage("split", "5")
    assert status == 1
    assert lines == [
        "error: stage split does not take 5; run python -m stages split (dvc.yaml has the values)"
    ]


def test_params_that_are_nested_too_deeply_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("a: " + 5000 * "[")
    status, lines = run_stage("split")
    assert status == 1
    (line,) = lines
    assert line.startswith("error: params.yaml is not valid YAML: ")
