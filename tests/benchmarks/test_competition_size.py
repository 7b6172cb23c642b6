import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from synthetic import REPO

from benchmarks import competition_size
from benchmarks.projects import Project, StageCosts


def test_the_overhead_is_what_is_neither_network_nor_fit(capsys):
    costs = {
        "crop": StageCosts(60.0, 90.0, 2**30, 2),
        "fit": StageCosts(40.0, 60.0, 2**31, 3),
        "label": StageCosts(6.0, 6.0, 2**29, 1),
    }
    competition_size.print_stages(costs, total=110.0)
    printed = capsys.readouterr().out
    assert "| `crop` | 2 | 1.0 | 1.5 | 1.0 |" in printed
    assert "| DVC | | 0.1 | | |" in printed
    assert "Overhead: 10.0 % of the 1.7 minutes" in printed


def test_the_copy_has_the_recipes_params_and_the_photos(tmp_path):
    project = competition_size.make_project(
        tmp_path / "copy", REPO / "data/demo", "competition-cpu"
    )
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    assert params["matrix"]["frozen"] == ["mask", "gender", "age-class"]
    assert params["data"]["root"] == "data/photos-to-measure"
    assert (project.data / "train/train.csv").is_file()


def test_stages_of_a_copy_in_a_relative_folder_are_timed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = Project(Path("copy"), "cpu", {})
    subprocess.run(["python", "-c", "pass"], cwd=project.root, env=project.env, check=True)
    assert json.loads(project.log.read_text())[0] == ["-c", "pass"]


def test_the_timer_counts_memory_of_a_process_and_its_children(tmp_path):
    child = "import time; block = bytearray(80_000_000); time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    subprocess.run(
        [sys.executable, REPO / "benchmarks/timer.py", "-c", parent],
        env={**os.environ, "BENCHMARK_LOG": str(tmp_path / "log")},
        check=True,
    )
    arguments, seconds, cpu_seconds, memory = json.loads((tmp_path / "log").read_text())
    assert arguments == ["-c", parent]
    assert seconds >= 0.5
    assert cpu_seconds > 0
    assert 80e6 < memory < 400e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folder", "."], "exists; remove it"),
        (["--folder", "new", "--kills", "2"], "give all three or none"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit):
        competition_size.main([str(REPO / "data/demo"), *arguments])
    assert message in capsys.readouterr().err
