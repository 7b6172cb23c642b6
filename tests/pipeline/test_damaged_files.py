"""Damaged outputs, lock files and locks: DVC restores them, or `make repair` removes them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from interruption import repair

pytestmark = pytest.mark.pipeline


def truncate_copy(path: Path, size: int) -> None:
    """Replace a file by a truncated copy; the file in DVC's cache stays intact."""
    data = path.read_bytes()[:size]
    path.unlink()
    path.write_bytes(data)


def truncate_in_place(project, name: str) -> None:
    """Truncate an output and the file in DVC's cache that it links to."""
    md5 = next(
        out["md5"]
        for stage in project.lock().values()
        for out in stage["outs"]
        if out["path"] == name
    )
    path, cached = project.root / name, project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    path.unlink()
    os.link(cached, path)  # the copy of the project has copies
    os.truncate(path, path.stat().st_size - 9)


def test_dvc_restores_outputs_that_are_damaged_outside_its_cache(project):
    before = project.lock()
    for name in (
        "data/crops/train.npy",
        "data/labels.csv",
        "models/trained/mask/0-0.safetensors",
        "reports/metrics.json",
    ):
        truncate_copy(project.root / name, -9)
    ran = project.repro()
    assert set(ran) <= {"evaluate"}, "metrics are in git, not in DVC's cache"
    assert project.lock() == before


def test_make_repair_lets_dvc_rebuild_what_is_damaged_in_its_cache_too(project):
    before = project.lock()
    damaged = (
        "data/crops/eval_context.npy",
        "data/labels.csv",
        "models/trained/age-value/0-0.safetensors",
    )
    for name in damaged:
        truncate_in_place(project, name)
    project.run("dvc", "repro", check=False)  # DVC trusts its links: this restores nothing
    output = project.run(sys.executable, "-m", "stages", "predict", "age-value", check=False)
    assert "Traceback" not in output
    assert output.count("\n") == 1
    assert output.startswith("error: ")
    assert output.endswith("run make repair, then dvc repro\n")
    assert "is damaged" in output

    output = repair(project)
    assert all(f"{name} was damaged, removed" in output for name in damaged)
    ran = project.repro()
    # Not the training: models/bundle has a copy of the network, which goes back into the cache.
    assert set(ran) == {"crop@eval", "label"}
    assert project.lock() == before
    assert "removed" not in repair(project)


def test_make_repair_removes_a_truncated_dvc_lock_and_rwlock(project):
    before = (project.root / "dvc.lock").read_bytes()
    within = before.index(b"hash:", before.index(b"train@gender"))
    os.truncate(project.root / "dvc.lock", within + len(b"hash:"))
    (project.root / ".dvc/tmp/rwlock").write_text('{"write": {"/a')
    assert "validation failed" in project.run("dvc", "repro", check=False)
    output = repair(project)
    assert "dvc.lock was damaged, removed" in output
    assert "rwlock was damaged, removed" in output
    assert project.repro() == []
    assert (project.root / "dvc.lock").read_bytes() == before


def test_make_repair_frees_locks_whose_process_is_no_dvc(project):
    held = {"pid": os.getpid(), "cmd": "dvc repro"}  # this process is not DVC
    locks = project.root / ".dvc/tmp/rwlock"
    lock_file = {
        "write": {str(project.root / "models"): held},
        "read": {str(project.root / "data"): [held]},
    }
    locks.write_text(json.dumps(lock_file))
    assert "is busy" in project.run("dvc", "repro", "--force", "-s", "label", check=False)
    assert "named no running DVC process" in repair(project)
    assert not locks.exists()
    with subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE) as dvc:
        locks.write_text(
            json.dumps({"write": {str(project.root / "models"): {**held, "pid": dvc.pid}}})
        )
        output = repair(project, check=False)
        assert f"error: dvc is running (process {dvc.pid})" in output
        assert locks.exists()
        dvc.communicate(b"\n")
    repair(project)
    assert not locks.exists()
