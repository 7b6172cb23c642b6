"""Rows of the whole pipeline: its overhead over the trainings, and a run with nothing to do."""

from benchmarks import projects
from benchmarks.projects import Project
from benchmarks.rows import Bench, Outcome, Row, at_most, versions
from benchmarks.side import MeasurementError
from portrait18.dataset.classes import MASK_BY_STEM

FOLDS = 5
MODELS = ["mask", "gender", "age-class"]
COMPETITION_PHOTOS = 31_500  # 2,700 people x 7 for training, 12,600 for evaluation


def overhead(seconds: dict[str, float], total: float) -> float:
    """Return the time outside the trainings, in percent of the time inside."""
    return 100 * (total - seconds["train"]) / seconds["train"]


def trainings(bench: Bench, count: int) -> Outcome:
    """Run `dvc repro` once from scratch: 3 tasks x 5 folds.

    The evaluation photos are in the competition's proportion to the training people.
    """
    changes = {"matrix.models": MODELS, "split.folds": FOLDS, "matrix.folds": list(range(FOLDS))}
    project = Project(bench.folder / "pipeline", bench.device, changes)
    wanted = max(12, round(count / len(MASK_BY_STEM)))
    people, eval_photos = projects.link_people(
        bench.data, project.data, wanted, round(wanted * 12_600 / 2_700)
    )
    bench.log(
        f"dvc repro: {people} people, {eval_photos} evaluation photos; progress in {project.log}"
    )
    total, _ = project.dvc("repro", seconds=12 * bench.seconds)
    seconds = project.stage_seconds()
    results = {
        "seconds": round(total),
        "stage_seconds": {stage: round(s, 1) for stage, s in seconds.items()},
        "dvc_seconds": round(total - sum(seconds.values()), 1),
    }
    facts = {"people": people, "eval_photos": eval_photos, "trainings": len(MODELS) * FOLDS}
    return Outcome([overhead(seconds, total)], people * len(MASK_BY_STEM), facts, results)


def up_to_date(bench: Bench, count: int) -> Outcome:
    """Run `dvc repro` in an up-to-date project; its outputs are placeholders, see `dvc commit`."""
    project = Project(bench.folder / "up-to-date", bench.device, {})
    projects.synthetic_photos(project.data, count)
    stages = _write_placeholders(project)
    bench.log(f"{count} photos written; dvc commit")
    project.dvc("commit", "--force", "--quiet", seconds=6 * bench.seconds)

    def repro() -> float:
        seconds, output = project.dvc("repro", seconds=bench.seconds)
        if "up to date" not in output or "Running stage" in output:
            raise MeasurementError(f"dvc repro ran a stage:\n{output[-2000:]}")
        return seconds

    repro()  # warm-up
    values = []
    for n in bench.each_round():
        values.append(repro())
        bench.log(f"round {n + 1} of {bench.rounds}: {values[-1]:.1f} s")
    return Outcome(values, count, {"stages": stages})


def _write_placeholders(project: Project) -> int:
    """Write a few bytes for every output of every stage; return the number of stages."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        stages = repo.index.stages
        for out in (out for stage in stages for out in stage.outs):
            path = project.root / out.def_path
            file = path if path.suffix else path / "placeholder.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{out.def_path}\n")
    return len(stages)


ROWS = [
    Row(
        "pipeline",
        f"whole pipeline, 3 tasks x {FOLDS} folds: time outside the trainings",
        f"the sum of its trainings ({versions('dvc')})",
        "%",
        {"cpu": at_most(10), "cuda": at_most(10)},
        trainings,
        share=(3, 32),
    ),
    Row(
        "up-to-date",
        f"`dvc repro` with nothing to do, {COMPETITION_PHOTOS:,} photos",
        versions("dvc"),
        "s",
        {"cpu": at_most(6), "cuda": at_most(6)},
        up_to_date,
        share=(COMPETITION_PHOTOS / 256, COMPETITION_PHOTOS / 256),
    ),
]
