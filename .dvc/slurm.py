"""Run the pipeline as Slurm jobs: make slurm.

Each stage of a matrix is one job, which Slurm starts when the jobs of its dependencies have ended.
A first job runs the stages before them, a last one `dvc repro`. Slurm does all scheduling. The
project's folder must be on a file system that all nodes share. Arguments are options of sbatch for
all jobs; LAUNCH_ARGS has more for stages that `launch` starts, such as --gpus=1.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import yaml

JOB = Path(__file__).with_name("slurm_job.sh")
EDGE = re.compile(r'^"([^"]+)" -> "([^"]+)";$', re.MULTILINE)


def stages_in_order(dag: str) -> dict[str, set[str]]:
    """Return the direct dependencies of each stage, dependencies first.

    Args:
        dag: output of `dvc dag --dot`.
    """
    names = re.findall(r'^"([^"]+)";$', dag, re.MULTILINE)
    before: dict[str, set[str]] = {name: set() for name in names}
    for dependency, stage in EDGE.findall(dag):
        before[stage].add(dependency)
    ordered: dict[str, set[str]] = {}
    while len(ordered) < len(before):
        ordered |= {s: d for s, d in before.items() if s not in ordered and d <= ordered.keys()}
    return ordered


def ancestors(stage: str, before: dict[str, set[str]]) -> set[str]:
    """Return all stages that a stage depends on, directly or not."""
    return before[stage].union(*(ancestors(each, before) for each in before[stage]))


class Submitter:
    """Submits jobs with `sbatch`.

    Args:
        options: options of sbatch for all jobs.
        logs: folder for one log for each job.
    """

    def __init__(self, options: list[str], logs: Path):
        self.logs = logs
        threads = yaml.safe_load(Path("params.yaml").read_text())["compute"]["threads"]
        self.options = [f"--cpus-per-task={threads}", *options]
        self.launch_options = shlex.split(os.environ.get("LAUNCH_ARGS", ""))
        stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
        commands = {name: str(stage.get("do", stage)["cmd"]) for name, stage in stages.items()}
        self.launched = {name for name, cmd in commands.items() if "${launch}" in cmd}

    def __call__(self, name: str, after: list[str], *repro: str, wait: bool = False) -> str:
        """Submit `dvc repro` with arguments as a job; return its number.

        Args:
            name: name of the job: a stage, or `before` or `after` the stages with jobs.
            after: numbers of the jobs that must end with success first.
            repro: arguments of `dvc repro`.
            wait: wait until the job has ended.
        """
        log = self.logs / f"{name}.log"
        log.touch()
        extra = self.launch_options if name.partition("@")[0] in self.launched else []
        command = ["sbatch", "--parsable", *self.options, *extra]
        command += [f"--job-name={name}", f"--output={log}", "--kill-on-invalid-dep=yes"]
        command += [f"--export=ALL,LOG={log},RESTARTS={os.environ.get('RESTARTS', '3')}"]
        command += ["--wait"] if wait else []
        command += [f"--dependency=afterok:{':'.join(after)}"] if after else []
        try:
            done = subprocess.run([*command, str(JOB), *repro], stdout=subprocess.PIPE, text=True)
        except FileNotFoundError:
            sys.exit("error: sbatch is not on the PATH; run make slurm on a machine with Slurm")
        if done.returncode and not wait:
            sys.exit(f"error: sbatch refused the job {name}; see its message above")
        return done.stdout.strip().partition(";")[0]


def main(options: list[str]) -> None:
    """Submit all jobs, wait for the last one and report failures."""
    dag = subprocess.run(["dvc", "dag", "--dot"], stdout=subprocess.PIPE, text=True)
    if dag.returncode:
        sys.exit("error: dvc dag failed; correct what its message above names")
    before = stages_in_order(dag.stdout)
    matrix = [stage for stage in before if "@" in stage]
    needed = set().union(*(ancestors(stage, before) for stage in matrix))
    first = [stage for stage in before if stage in needed and "@" not in stage]
    logs = Path(".dvc/tmp/slurm") / time.strftime("%Y%m%d-%H%M%S")
    logs.mkdir(parents=True)
    submit = Submitter(options, logs)
    jobs = dict.fromkeys(first, submit("before", [], *first))
    for stage in matrix:
        jobs[stage] = submit(stage, sorted({jobs[each] for each in before[stage]}), "-s", stage)
    ids = " ".join(sorted(set(jobs.values()), key=int))
    print(f"submitted {len(set(jobs.values())) + 1} jobs; their logs are {logs}/*.log")
    print(f"squeue lists them, scancel {ids} cancels them", flush=True)
    submit("after", sorted(set(jobs.values())), wait=True)
    output = (logs / "after.log").read_text()
    print(output, end="")
    failed = [path.read_text().splitlines()[-4:] for path in sorted(logs.glob("*.log"))]
    failed = [lines for lines in failed if lines and ": failed, " in lines[-1]]
    if failed or not output:
        print("\n\n".join("\n".join(lines) for lines in failed))
        sys.exit(f"error: a job has failed; see {logs}/*.log. make slurm resumes")


if __name__ == "__main__":
    main(sys.argv[1:])
