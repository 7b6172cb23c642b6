"""Measure whole tasks versus other tools; `benchmarks/__init__.py` explains how.

    python -m benchmarks.run                       all rows, 1 to 2 hours on two cores
    python -m benchmarks.run crop-loop detect      some rows
    python -m benchmarks.run --table               print the table, measure nothing

Close other programs first. Each row is saved to reports/benchmarks.json as soon as it is measured.
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

import torch

from benchmarks import (
    baseline,
    crop,
    growth,
    inputs,
    memory,
    parallel,
    pipeline,
    predict,
    report,
    serving,
    train,
    variants,
)
from benchmarks.rows import Bench, Row
from benchmarks.side import REPO, MeasurementError
from portrait18.core.errors import UserError, cli_errors
from portrait18.core.validation import nearest

ROWS: list[Row] = [
    *crop.ROWS,
    *train.ROWS,
    *variants.ROWS,
    *predict.ROWS,
    *pipeline.ROWS,
    *parallel.ROWS,
    *memory.ROWS,
    *growth.ROWS,
    *serving.ROWS,
]


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure whole tasks versus other tools."
    )
    names = ", ".join(row.name for row in ROWS)
    add = parser.add_argument
    add("rows", nargs="*", metavar="ROW", help=f"rows to measure (default: all of {names})")
    add("--data", type=Path, help="folder of a data set (default: data/bench or else data/demo)")
    add("--bundle", type=Path, help="trained ensemble to serve (default: models/bundle)")
    add(
        "--photos", type=int, default=256, help="base size; each row takes its share (default: 256)"
    )
    add("--rounds", type=int, default=5, help="rounds per row, if there is time (default: 5)")
    add("--minutes", type=float, default=10, help="time limit of a row and of a run (default: 10)")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: a GPU if any")
    add("--num-workers", type=int, help="loader processes (default: 0 on a CPU, up to 8 on a GPU)")
    add("--table", action="store_true", help="print the table of reports/benchmarks.json and exit")
    return parser.parse_args(argv)


def select_rows(names: list[str], device: str) -> list[Row]:
    """Return the rows to measure: those named, or all that have a goal for the device.

    Raises:
        UserError: A name is unknown, or its row has no goal for the device.
    """
    known = {row.name: row for row in ROWS}
    problems = []
    for name in names:
        if name not in known:
            problems.append(f"no row is named {name!r}{nearest(name, list(known))}")
        elif device not in known[name].goals:
            devices = " or ".join(known[name].goals)
            problems.append(f"{name} runs on {devices} only; omit it or use --device {devices}")
    if problems:
        raise UserError(problems)
    return [known[name] for name in dict.fromkeys(names or known) if device in known[name].goals]


def _validate(args: argparse.Namespace) -> None:
    minimums = (
        ("photos", args.photos, 8),
        ("rounds", args.rounds, 1),
        ("num-workers", args.num_workers or 0, 0),
    )
    problems = [
        f"--{name} {value} must be {minimum} or more"
        for name, value, minimum in minimums
        if value < minimum
    ]
    if not args.minutes > 0:
        problems.append(f"--minutes {args.minutes} must be more than 0")
    if args.device == "cuda" and not torch.cuda.is_available():
        problems.append(
            "--device cuda: PyTorch sees no GPU; use --device cpu or repair the GPU driver"
        )
    if problems:
        raise UserError(problems)
    inputs.validate(args.data)


def _bench(args: argparse.Namespace, folder: Path) -> Bench:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    device = auto if args.device == "auto" else args.device
    default_workers = min(8, (os.cpu_count() or 2) // 2) if device == "cuda" else 0
    return Bench(
        data=args.data,
        photos=args.photos,
        rounds=args.rounds,
        device=device,
        num_workers=default_workers if args.num_workers is None else args.num_workers,
        minutes=args.minutes,
        folder=folder,
        params=baseline.load(),
        log=_log,
        bundle=args.bundle or Path("models/bundle"),
    )


def _warn_if_busy() -> None:
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy > 0.3 * cores:
        _log(
            f"warning: other programs use {busy:.1f} of {cores} cores; ratios will vary more "
            "than on an idle machine"
        )


def _measure(rows: list[Row], bench: Bench) -> list[str]:
    """Measure rows and save each; return the names of those that failed."""
    failed = []
    for row in rows:
        _log(f"{row.name}: {row.task}; versus {row.peer}; {row.photos(bench):,} photos")
        try:
            outcome = row.measure(bench, row.photos(bench))
        except UserError:
            raise
        except Exception as error:  # the other rows can still be measured
            if not isinstance(error, MeasurementError):
                traceback.print_exc()
            _log(f"{row.name} could not be measured: {error}")
            failed.append(row.name)
        else:
            report.add(row, bench, outcome)
    return failed


def _plot_growth(device: str) -> None:
    rows = report.read().get(device, {}).get("rows", {})
    results = {name: rows[row.name]["results"] for row in growth.ROWS if (name := row.name) in rows}
    if results:
        growth.plot(results)


@cli_errors
def main(argv: list[str] | None = None) -> None:
    args = _arguments(argv)
    args.data, args.bundle = (path and path.absolute() for path in (args.data, args.bundle))
    os.chdir(REPO)  # for params.yaml and reports/
    args.data = args.data or Path("data/bench" if Path("data/bench").exists() else "data/demo")
    failed = []
    if not args.table:
        _validate(args)
        with tempfile.TemporaryDirectory(prefix="portrait18-benchmarks-") as folder:
            bench = _bench(args, Path(folder))
            rows = select_rows(args.rows, bench.device)
            _warn_if_busy()
            failed = _measure(rows, bench)
        _plot_growth(bench.device)
    content = report.read()
    print(report.table(ROWS, content))
    print(f"\n{report.machines(content)}")
    if failed:
        raise UserError(
            f"not measured, see above: {', '.join(failed)}; repeat with "
            f"python -m benchmarks.run {' '.join(failed)}"
        )


if __name__ == "__main__":
    main()
