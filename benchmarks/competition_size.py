"""A recipe at the competition's size: costs of its stages, of DVC, and of sharing it.

    python -m benchmarks.generate data/competition --source data/bench
    python -m benchmarks.competition_size data/competition --folder data/competition-run
    python -m benchmarks.competition_size data/competition --folder data/killed-run \\
      --kills 20 --minutes 31 --expect data/competition-run

The first command makes 31,500 photos. The second one runs `dvc repro` in a copy of the project from
an empty cache, then `dvc status`, `dvc repro` with nothing to do, `dvc push` to an S3 server on
this machine and a colleague's `dvc pull`. It prints tables for docs/performance.md. The third one
kills `dvc repro` 20 times at random moments of the minutes that a whole run takes (`--minutes`),
starts it again each time, and compares the last dvc.lock with the expected one.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks.projects import DATA, Project, StageCosts, stage_costs
from benchmarks.side import REPO, MeasurementError
from portrait18.core.errors import UserError, cli_errors
from recipes import loader
from recipes.values import merge

HOUR = 3600.0  # seconds
BUCKET = "portrait18"
KEYS = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
#: Stages whose time is that of networks and of their fits; the rest is overhead.
WORK = ("crop", "features", "fit", "train", "predict", "pseudo_label")


def make_project(folder: Path, data: Path, recipe: str) -> Project:
    """Copy the project to a new folder, with a recipe's params and a link to the photos."""
    project = Project(folder, "cpu", {})
    values = merge(
        yaml.safe_load((REPO / "params.yaml").read_text()),
        merge(loader.resolve(recipe), {"data": {"root": DATA}}),
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    project.data.parent.mkdir(parents=True, exist_ok=True)
    project.data.symlink_to(data.resolve())
    return project


def measure(project: Project) -> None:
    """Run the pipeline and DVC's commands; print both tables."""
    total, _ = project.dvc("repro", seconds=3 * HOUR)
    costs = stage_costs(project.log)
    print_stages(costs, total)
    project.log.unlink()
    rows = [("`dvc repro`, from nothing", total)]
    rows += [
        (f"`dvc {words}`, nothing to do", project.dvc(words, seconds=HOUR)[0])
        for words in ("status", "repro")
    ]
    rows += share(project)
    print("\n| command | seconds |\n| --- | --- |")
    for name, seconds in rows:
        print(f"| {name} | {seconds:,.0f} |")
    cache = [file for file in (project.root / ".dvc/cache/files").rglob("*") if file.is_file()]
    gigabytes = sum(file.stat().st_size for file in cache) / 1e9
    print(f"\nDVC's cache: {len(cache):,} files, {gigabytes:.1f} GB")


def print_stages(costs: dict[str, StageCosts], total: float) -> None:
    """Print the costs of each stage, and the share of what is neither network nor fit."""
    print("\n| stage | processes | minutes | CPU minutes | peak memory, GiB |")
    print("| --- | --- | --- | --- | --- |")
    for stage, cost in sorted(costs.items(), key=lambda item: -item[1].seconds):
        minutes = f"{cost.seconds / 60:.1f} | {cost.cpu_seconds / 60:.1f}"
        print(f"| `{stage}` | {cost.processes} | {minutes} | {cost.memory / 2**30:.1f} |")
    outside = total - sum(cost.seconds for cost in costs.values())
    print(f"| DVC | | {outside / 60:.1f} | | |")
    work = sum(cost.seconds for stage, cost in costs.items() if stage in WORK)
    print(f"\nOverhead: {100 * (total - work) / work:.1f} % of the {work / 60:.1f} minutes of work")


def share(project: Project) -> list[tuple[str, float]]:
    """Return the seconds of a push to an S3 server and of a colleague's pull."""
    # Imported here: the other commands need no S3 server.
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        boto3.client("s3", endpoint_url=address, **KEYS).create_bucket(Bucket=BUCKET)
        colleague = make_colleague(project)
        for side in (project, colleague):
            side.env.update(
                {name.upper(): value for name, value in KEYS.items() if name != "region_name"}
            )
            url = ("--default", "team", f"s3://{BUCKET}/dvc")
            side.dvc("remote", "add", *url, seconds=HOUR)
            side.dvc("remote", "modify", "team", "endpointurl", address, seconds=HOUR)
        rows = [("`dvc push`", project.dvc("push", seconds=HOUR)[0])]
        rows.append(("a colleague's `dvc pull`", colleague.dvc("pull", seconds=HOUR)[0]))
        seconds, output = colleague.dvc("repro", seconds=HOUR)
        if "up to date" not in output:
            raise MeasurementError(f"a colleague's dvc repro ran a stage:\n{output[-2000:]}")
        return [*rows, ("then `dvc repro`, nothing to do", seconds)]
    finally:
        server.stop()


def make_colleague(project: Project) -> Project:
    """Return what a colleague has after `git clone`, with the same photos."""
    colleague = Project(project.root.with_name(f"{project.root.name}-colleague"), "cpu", {})
    # Git keeps the metrics, DVC the other reports.
    metrics = [*project.root.glob("reports/*.json"), *project.root.glob("reports/crop/*.json")]
    for source in (project.root / "params.yaml", project.root / "dvc.lock", *metrics):
        target = colleague.root / source.relative_to(project.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    colleague.data.parent.mkdir(parents=True, exist_ok=True)
    colleague.data.symlink_to(project.data.resolve())
    return colleague


def kill(project: Project, kills: int, total: float) -> None:
    """Run `dvc repro`, killed `kills` times, spread at random over `total` seconds of progress."""
    rng = random.Random(0)
    for number in range(kills):
        wait = rng.uniform(0.5, 1.5) * total / kills
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"],
            cwd=project.root,
            env=project.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"kill {number + 1} of {kills} after {wait:.0f} s", flush=True)
        else:
            raise MeasurementError(f"dvc repro ended before kill {number + 1} of {kills}")
    start = time.monotonic()
    project.dvc("repro", seconds=3 * HOUR)
    print(f"the last dvc repro took {time.monotonic() - start:.0f} s")


@cli_errors
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.competition_size", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("data", type=Path, help="data set, from `python -m benchmarks.generate`")
    add("--folder", type=Path, required=True, help="folder of the copy, new")
    add("--recipe", default="competition-cpu", help="name of a recipe (competition-cpu)")
    add("--kills", type=int, default=0, help="kill dvc repro so often and compare (0)")
    add("--minutes", type=float, help="with --kills: time of a run that nothing kills")
    add("--expect", type=Path, help="with --kills: folder of a run that nothing killed")
    args = parser.parse_args(argv)
    if args.folder.exists():
        raise UserError(f"{args.folder} exists; remove it or name a new folder")
    if not (args.data / "train").is_dir():
        raise UserError(f"{args.data}/train is missing; run `python -m benchmarks.generate`")
    if bool(args.kills) != bool(args.minutes and args.expect):
        raise UserError("--kills needs --minutes and --expect; give all three or none")
    project = make_project(args.folder, args.data, args.recipe)
    if not args.kills:
        measure(project)
        return
    kill(project, args.kills, 60 * args.minutes)
    locks = [(folder / "dvc.lock").read_bytes() for folder in (args.folder, args.expect)]
    print("same dvc.lock" if locks[0] == locks[1] else "another dvc.lock")
    sys.exit(locks[0] != locks[1])


if __name__ == "__main__":
    main()
