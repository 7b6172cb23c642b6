"""Everything that only a GPU can show, in one command of at most nine minutes, with its own
summary.

    python -m benchmarks.gpu_check                  on the demo's photos
    python -m benchmarks.gpu_check --data data/bench --people 300
    python -m benchmarks.gpu_check --device cpu     a dry run of the same steps

Needs neither DVC nor a network: the stages are called directly. Each step is a process of its own
with a time limit, so that one failure or hang costs one step. The summary goes to
reports/gpu_check.md and reports/gpu_check.json; the exit status is 1 if a step failed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import gpu_measurements, gpu_steps
from benchmarks.gpu_steps import Settings
from benchmarks.stage_project import REPO

TIME_LIMIT = 540.0  # seconds, of the whole check on a GPU
DRY_RUN_FACTOR = 8  # a CPU may take so many times as long
RESULT = "GPU_CHECK_RESULT "
#: Time limits of the steps in seconds on a GPU; they run in this order.
LIMITS: dict[Callable[[Settings], dict], float] = {
    gpu_steps.gpu_tests: 90,
    gpu_steps.detector_agreement: 60,
    gpu_steps.same_bytes_twice: 150,
    gpu_measurements.competition: 150,
    gpu_measurements.face_features: 60,
    gpu_measurements.training_memory: 90,
    gpu_measurements.benchmark_crop: 100,
    gpu_measurements.benchmark_train: 60,
    gpu_measurements.benchmark_predict: 60,
    gpu_measurements.benchmark_serving: 60,
    gpu_measurements.benchmark_variants: 100,
}
STEPS = {function.__name__: function for function in LIMITS}


@dataclass
class Result:
    """Outcome of one step."""

    step: str
    status: str  # passed | failed | skipped
    seconds: float = 0.0
    numbers: dict = field(default_factory=dict)
    error: str = ""


def machine(device: str) -> dict:
    """Return what the numbers depend on: processor, card, driver, versions."""
    import torch

    facts = {"python": platform.python_version(), "torch": torch.__version__}
    facts |= {"cpu_cores": os.cpu_count(), "device": device}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        facts |= {"gpu": properties.name, "gpu_memory_mib": properties.total_memory // 2**20}
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True)
        facts |= {"driver": done.stdout.strip(), "cuda": torch.version.cuda}
    return facts


def run_step(name: str, command: list[str], seconds: float) -> Result:
    """Run the command of one step, at most for the given seconds."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        error = f"took more than {seconds:.0f} s\n{output[-1500:]}"
        return Result(name, "failed", time.monotonic() - start, error=error)
    took = time.monotonic() - start
    results = [line for line in output.splitlines() if line.startswith(RESULT)]
    if process.returncode or not results:
        return Result(name, "failed", took, error=output[-3000:])
    return Result(name, "passed", took, json.loads(results[-1].removeprefix(RESULT)))


def summary(facts: dict, results: list[Result]) -> str:
    """Return the summary as Markdown."""
    lines = ["# GPU check", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += ["| step | status | seconds | numbers |", "|---|---|---|---|"]
    for result in results:
        numbers = json.dumps(result.numbers) if result.numbers else ""
        lines.append(f"| {result.step} | {result.status} | {result.seconds:.0f} | {numbers} |")
    for result in results:
        if result.error:
            lines += ["", f"## {result.step}", "", "```", result.error.strip(), "```"]
    return "\n".join(lines) + "\n"


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, default=Path("data/demo"), help="a data set's folder")
    parser.add_argument("--people", type=int, default=48, help="training people to use (48)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: a dry run")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="folder of the summary")
    parser.add_argument("--only", nargs="*", choices=list(STEPS), help="some steps")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    data = args.data.resolve()
    if args.step:
        function = STEPS[args.step]
        print(RESULT + json.dumps(function(Settings(data, args.people, args.device))), flush=True)
        return 0
    factor = DRY_RUN_FACTOR if args.device == "cpu" else 1
    deadline = time.monotonic() + factor * TIME_LIMIT
    facts, results = machine(args.device), []
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--device", args.device]
    command += ["--data", str(data), "--people", str(args.people)]
    args.out.mkdir(parents=True, exist_ok=True)
    for name, function in STEPS.items():
        if args.only and name not in args.only:
            continue
        left = deadline - time.monotonic()
        if left < 20:
            results.append(Result(name, "skipped", error="no time left"))
        else:
            results.append(
                run_step(name, [*command, "--step", name], min(factor * LIMITS[function], left))
            )
        print(f"{name}: {results[-1].status} ({results[-1].seconds:.0f} s)", flush=True)
        # Written after each step, so that a killed check keeps what it has measured.
        (args.out / "gpu_check.md").write_text(summary(facts, results))
        report = {"machine": facts, "steps": [asdict(result) for result in results]}
        (args.out / "gpu_check.json").write_text(json.dumps(report, indent=2) + "\n")
    return int(any(result.status != "passed" for result in results))


if __name__ == "__main__":
    sys.exit(main())
