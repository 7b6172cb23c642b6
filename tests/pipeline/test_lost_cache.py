"""`make repair` in a project whose DVC cache is gone."""

import os
import shutil

import pytest
import yaml
from interruption import repair


@pytest.mark.pipeline
def test_make_repair_keeps_intact_outputs_when_the_cache_is_lost(project):
    lock = project.root / "dvc.lock"
    stale = yaml.safe_load(lock.read_text())
    out = {"path": "reports/explain/mask.png", "hash": "md5", "md5": "0" * 32, "size": 1}
    stale["stages"]["explain@mask"] = {"cmd": "former", "outs": [out]}  # DVC keeps such entries
    lock.write_text(yaml.safe_dump(stale))
    shutil.rmtree(project.root / ".dvc/cache")
    damaged = project.root / "data/labels.csv"
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[:-9])
    (project.root / "reports/evaluate/.DS_Store").touch()

    output = repair(project)
    assert [line for line in output.splitlines() if line.endswith("removed")] == [
        "data/labels.csv was damaged, removed"
    ]
    assert "missing from DVC's cache, stored there again" in output
    metrics = project.root / "reports/metrics.json"
    assert os.stat(metrics).st_nlink == 1, "metrics are in git, not in DVC's cache"
    assert project.repro() == ["label"]
    shutil.rmtree(project.root / "reports/evaluate")
    project.run("dvc", "checkout")
    assert (project.root / "reports/evaluate/confusion.png").exists()
    assert "stored" not in repair(project)
