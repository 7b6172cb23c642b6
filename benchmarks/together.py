"""Row of small trainings side by side, as `make parallel` runs them, beside the same ones in turn."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import projects
from benchmarks.paired import Turn
from benchmarks.projects import Project
from benchmarks.rows import Bench, Outcome, Row, at_least, named
from portrait18.dataset.classes import MASK_BY_STEM

MODEL, FOLDS = "all", 4
CORES = os.cpu_count() or 1
AT_ONCE = {"cpu": CORES, "cuda": 4}


def trainings(bench: Bench, count: int) -> Outcome:
    """Four trainings by one `dvc repro` at a time, or by several; each gives the same either way."""
    changes = {"matrix.models": [MODEL], "split.folds": FOLDS, "matrix.folds": list(range(FOLDS))}
    project = Project(bench.folder / "together", bench.device, changes)
    people, _ = projects.link_people(
        bench.data, project.data, max(12, round(count / len(MASK_BY_STEM))), 8
    )
    stages = [f"train@{MODEL}-{fold}-0" for fold in range(FOLDS)]
    at_once, limit = min(len(stages), AT_ONCE[bench.device]), 60 * bench.minutes
    project.dvc("repro", "label", "split", "crop", seconds=limit)

    def in_turn() -> None:
        project.dvc("repro", "--force", "--single-item", *stages, seconds=limit)

    def together() -> None:
        def train(stage: str) -> None:
            how = ["--wait-for-lock", "repro", "--force", "--single-item", stage]
            project.dvc(*how, seconds=limit, threads=max(1, CORES // at_once))

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(train, stages))

    def timed(way) -> Turn:
        shutil.rmtree(project.root / ".resume", ignore_errors=True)
        started = time.monotonic()
        way()
        return Turn(time.monotonic() - started, people * len(MASK_BY_STEM), {})

    pair = bench.compare(lambda: timed(together), lambda: timed(in_turn))
    return Outcome(
        pair.ratios, people * len(MASK_BY_STEM), {"trainings": len(stages), "at_once": at_once}
    )


ROWS = [
    Row(
        "together",
        "four small trainings side by side, by several `dvc repro`",
        f"the same by one `dvc repro`, in turn ({named('dvc')})",
        "x",
        {"cpu": at_least(1.2), "cuda": at_least(1.5)},
        trainings,
        share=(1, 4),
    )
]
