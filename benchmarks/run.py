"""Measure whole tasks beside what people use otherwise; see the package's head for what is measured and how.

    python -m benchmarks.run                       all rows, an hour on two cores
    python -m benchmarks.run crop-loop detect      some rows
    python -m benchmarks.run --table               the table of what was measured, nothing new

Close other programs first. Rows go to reports/benchmarks.json one by one: stopped, it keeps those it has.
"""

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

import torch

from benchmarks import (
    crop,
    growth,
    inputs,
    memory,
    pipeline,
    predict,
    report,
    serving,
    together,
    train,
    variants,
)
from benchmarks.rows import Bench, Row
from benchmarks.side import REPO, NotMeasured
from portrait18.core import params
from portrait18.core.errors import UserError, cli_errors
from portrait18.core.validation import nearest

ROWS: list[Row] = [
    *crop.ROWS,
    *train.ROWS,
    *variants.ROWS,
    *predict.ROWS,
    *pipeline.ROWS,
    *together.ROWS,
    *memory.ROWS,
    *growth.ROWS,
    *serving.ROWS,
]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"all, or some of {', '.join(r.name for r in ROWS)}"
    )
    parser.add_argument(
        "--data", type=Path, help="a data set's folder (data/bench if it is there, else data/demo)"
    )
    parser.add_argument("--bundle", type=Path, help="a trained ensemble to serve (models/bundle)")
    parser.add_argument(
        "--photos", type=int, default=256, help="size of a row; each takes its own share (256)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="of each row, fewer where time is up (5)"
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="for a row's rounds; a turn may take as long (10)"
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="auto: the GPU if there is one",
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="loader processes of both sides (CPU 0, GPU half the cores, 8 at most)",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="print the table of reports/benchmarks.json, measure nothing",
    )
    return parser.parse_args(argv)


def _chosen(names: list[str], device: str) -> list[Row]:
    known = {row.name: row for row in ROWS}
    wrong = [
        f"no row is called {name!r}{nearest(name, list(known))}"
        for name in names
        if name not in known
    ]
    for name in names:
        if name in known and device not in known[name].aims:
            others = " or ".join(known[name].aims)
            wrong.append(f"{name} is for {others} alone; leave it out, or use --device {others}")
    if wrong:
        raise UserError(wrong)
    return [known[name] for name in dict.fromkeys(names or known) if device in known[name].aims]


def _bench(args: argparse.Namespace, folder: Path) -> Bench:
    problems = [
        f"--{name} {value} must be {least} or more"
        for name, value, least in (
            ("photos", args.photos, 8),
            ("rounds", args.rounds, 1),
            ("workers", args.workers or 0, 0),
        )
        if value < least
    ]
    if not args.minutes > 0:
        problems.append(f"--minutes {args.minutes} must be more than 0")
    there = torch.cuda.is_available()
    if args.device == "cuda" and not there:
        problems.append(
            "--device cuda: PyTorch sees no GPU here; use --device cpu or mend the driver"
        )
    if problems:
        raise UserError(problems)
    device = ("cuda" if there else "cpu") if args.device == "auto" else args.device
    data = args.data or Path("data/bench" if Path("data/bench").exists() else "data/demo")
    inputs.require(data)
    usual = min(8, (os.cpu_count() or 2) // 2) if device == "cuda" else 0
    workers = usual if args.workers is None else args.workers
    told, bundle = params.load(), args.bundle or Path("models/bundle")
    return Bench(
        data,
        args.photos,
        args.rounds,
        device,
        workers,
        args.minutes,
        folder,
        told,
        _tell,
        bundle=bundle,
    )


def _warn_of_others() -> None:
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy > 0.3 * cores:
        _tell(
            f"warning: other programs keep {busy:.1f} of {cores} cores busy; ratios will vary more than they should"
        )


@cli_errors
def main(argv: list[str] | None = None) -> None:
    args = _arguments(argv)
    args.data, args.bundle = (path and path.resolve() for path in (args.data, args.bundle))
    os.chdir(REPO)  # params.yaml and reports/ are the project's
    told = report.read()
    if not args.table:
        failed = []
        with tempfile.TemporaryDirectory(prefix="portrait18-benchmarks-") as folder:
            bench = _bench(args, Path(folder))
            rows = _chosen(args.rows, bench.device)
            _warn_of_others()
            for row in rows:
                _tell(f"{row.name}: {row.what}; beside {row.beside}; {row.photos(bench):,} photos")
                try:
                    outcome = row.measure(bench, row.photos(bench))
                except UserError:
                    raise
                except Exception as error:  # the other rows are measured all the same
                    if not isinstance(error, NotMeasured):
                        traceback.print_exc()
                    _tell(f"{row.name} is not measured: {error}")
                    failed.append(row.name)
                    continue
                told = report.add(row, bench, outcome)
        growths = {
            name: r["figures"]
            for name, r in told.get(bench.device, {}).get("rows", {}).items()
            if "growth" in name
        }
        if growths:
            growth.draw(growths)
    print(report.table(ROWS, told))
    print(f"\n{report.machines(told)}")
    if not args.table and failed:
        raise UserError(
            f"not measured, see above: {', '.join(failed)}; run them again: python -m benchmarks.run {' '.join(failed)}"
        )


if __name__ == "__main__":
    main()
