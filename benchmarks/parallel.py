"""Row of small trainings in parallel, as `make parallel` runs them, versus one after the other."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks import projects
from benchmarks.paired import Turn
from benchmarks.projects import Project
from benchmarks.rows import Bench, Outcome, Row, at_least, versions
from portrait18.dataset.classes import MASK_BY_STEM

MODEL, FOLDS = "all", 4
CORES = os.cpu_count() or 1
JOBS = {"cpu": CORES, "cuda": 4}


def trainings(bench: Bench, count: int) -> Outcome:
    """Run four trainings by several `dvc repro` at a time or by one; the outputs are the same."""
    changes = {"matrix.models": [MODEL], "split.folds": FOLDS, "matrix.folds": list(range(FOLDS))}
    project = Project(bench.folder / "parallel", bench.device, changes)
    wanted = max(12, round(count / len(MASK_BY_STEM)))
    people, _ = projects.link_people(bench.data, project.data, wanted, 8)
    photos = people * len(MASK_BY_STEM)
    stages = [f"train@{MODEL}-{fold}-0" for fold in range(FOLDS)]
    jobs, limit = min(len(stages), JOBS[bench.device]), bench.seconds
    project.dvc("repro", "label", "split", "crop", seconds=limit)
    forced = ["repro", "--force", "--single-item"]

    def sequential() -> None:
        project.dvc(*forced, *stages, seconds=limit)

    def parallel() -> None:
        def train(stage: str) -> None:
            threads = max(1, CORES // jobs)
            project.dvc("--wait-for-lock", *forced, stage, seconds=limit, threads=threads)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(train, stages))

    def timed(run: Callable[[], None]) -> Turn:
        shutil.rmtree(project.root / ".resume", ignore_errors=True)
        start = time.monotonic()
        run()
        return Turn(time.monotonic() - start, photos, {})

    pair = bench.compare(lambda: timed(parallel), lambda: timed(sequential))
    return Outcome(pair.ratios, photos, {"trainings": len(stages), "jobs": jobs})


ROWS = [
    Row(
        "parallel",
        "four small trainings in parallel, by several `dvc repro`",
        f"the same one after the other, by one `dvc repro` ({versions('dvc')})",
        "x",
        {"cpu": at_least(1.2), "cuda": at_least(1.5)},
        trainings,
        share=(1, 4),
    )
]
