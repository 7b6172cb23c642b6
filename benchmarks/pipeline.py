"""Rows of the pipeline as a whole: what it costs beside its trainings, and with nothing to do."""

import time

from benchmarks import projects
from benchmarks.projects import Project
from benchmarks.rows import Bench, Outcome, Row, at_most, named
from benchmarks.side import NotMeasured
from portrait18.dataset.classes import MASK_BY_STEM

FOLDS = 5
MODELS = ["mask", "gender", "age-class"]
COMPETITION = 31_500  # photos: 2,700 people x 7 to train on, 12,600 to label


def overhead(seconds: dict[str, float], total: float) -> float:
    """What a run took beside its trainings, in hundredths of what they took."""
    return 100 * (total - seconds["train"]) / seconds["train"]


def trainings(bench: Bench, count: int) -> Outcome:
    """One `dvc repro` from nothing: three tasks x five folds, photos to label in the competition's proportion."""
    changes = {"matrix.models": MODELS, "split.folds": FOLDS, "matrix.folds": list(range(FOLDS))}
    project = Project(bench.folder / "pipeline", bench.device, changes)
    wanted = max(12, round(count / len(MASK_BY_STEM)))
    people, labelled = projects.link_people(
        bench.data, project.data, wanted, round(wanted * 12_600 / 2_700)
    )
    bench.tell(
        f"dvc repro: {people} people, {labelled} photos to label; a training every so often in {project.log}"
    )
    total, _ = project.dvc("repro", seconds=60 * 12 * bench.minutes)
    seconds = project.stage_seconds()
    figures = {
        "seconds": round(total),
        "seconds_of_stages": {stage: round(s, 1) for stage, s in seconds.items()},
        "seconds_of_dvc": round(total - sum(seconds.values()), 1),
    }
    facts = {"people": people, "photos_to_label": labelled, "trainings": len(MODELS) * FOLDS}
    return Outcome([overhead(seconds, total)], people * len(MASK_BY_STEM), facts, figures)


def nothing(bench: Bench, count: int) -> Outcome:
    """`dvc repro` in a project that is up to date; its outs are stand-ins, told to DVC by `dvc commit`."""
    project = Project(bench.folder / "nothing-to-do", bench.device, {})
    projects.synthetic_photos(project.data, count)
    stages = _stand_ins(project)
    bench.tell(f"{count} photos made; dvc commit")
    project.dvc("commit", "--force", "--quiet", seconds=60 * 6 * bench.minutes)
    start, values = time.monotonic(), []
    for n in range(-1, bench.rounds):
        if n > 0 and time.monotonic() - start > 60 * bench.minutes:
            break
        seconds, printed = project.dvc("repro", seconds=60 * bench.minutes)
        if "up to date" not in printed or "Running stage" in printed:
            raise NotMeasured(f"dvc repro had something to do:\n{printed[-2000:]}")
        if n >= 0:
            values.append(seconds)
            bench.tell(f"round {n + 1} of {bench.rounds}: {seconds:.1f} s")
    return Outcome(values, count, {"stages": stages})


def _stand_ins(project: Project) -> int:
    """Make every out of every stage, a few bytes each; how many stages there are."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        stages = repo.index.stages
        for out in (out for stage in stages for out in stage.outs):
            path = project.root / out.def_path
            file = path if path.suffix else path / "figures.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{out.def_path}\n")
    return len(stages)


ROWS = [
    Row(
        "pipeline",
        f"the whole pipeline, three tasks x {FOLDS} folds: what it takes beside its trainings",
        f"the sum of its trainings ({named('dvc')})",
        "%",
        {"cpu": at_most(10), "cuda": at_most(10)},
        trainings,
        share=(3, 32),
    ),
    Row(
        "nothing-to-do",
        f"`dvc repro` with nothing to do, {COMPETITION:,} photos",
        named("dvc"),
        "s",
        {"cpu": at_most(6), "cuda": at_most(6)},
        nothing,
        share=(COMPETITION / 256, COMPETITION / 256),
    ),
]
