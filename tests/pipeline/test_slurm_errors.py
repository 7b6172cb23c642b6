"""`make slurm` where it can't work: one line, no traceback. No Slurm is needed."""

import os
import subprocess
import sys

import pytest
from synthetic import REPO

DAG = '"check";\n"train@mask-0-0";\n"check" -> "train@mask-0-0";\n'


@pytest.mark.parametrize(
    ("dvc", "lines"),
    [
        (
            "echo 'error: params.yaml: matrix.folds = 0: must be a list' >&2; exit 1",
            [
                "error: params.yaml: matrix.folds = 0: must be a list",
                "error: dvc dag failed; correct what its message above names",
            ],
        ),
        (
            f"printf '{DAG}'",
            ["error: sbatch is not on the PATH; run make slurm on a machine with Slurm"],
        ),
    ],
)
def test_what_stops_make_slurm_is_named(tmp_path, dvc, lines):
    program = tmp_path / "dvc"
    program.write_text(f"#!/bin/sh\n{dvc}\n")
    program.chmod(0o755)
    (tmp_path / "params.yaml").write_text("compute: {threads: 1}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {check: {cmd: true}}\n")
    done = subprocess.run(
        [sys.executable, REPO / ".dvc/slurm.py"],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr.splitlines()) == (1, lines)
