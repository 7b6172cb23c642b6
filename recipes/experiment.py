"""Run a recipe as a DVC experiment and save its metrics."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portrait18.core.errors import UserError
from portrait18.core.files import read_json
from portrait18.dataset import layout
from recipes import hydra, loader, repository, results
from recipes.repository import PARAMS
from recipes.values import Tree, dig, expand, flatten, merge, to_line


def run(name: str, seed: int | None, extra: list[str]) -> int:
    """Run a recipe and add a line to reports/runs.csv.

    A run that stops or fails after a minute or more gets a line without metrics, so that its
    minutes count when the same command resumes it.

    Args:
        name: recipe.
        seed: seed of the trainings; None for the recipe's own.
        extra: more values, each as `KEY=VALUE` with the value in YAML.

    Returns:
        Exit status of DVC.

    Raises:
        UserError: Bad recipe, values, repository or photos; nothing was run.
    """
    recipe = loader.resolve(name)
    more = parse_assignments(extra)
    values = loader.override(recipe, more, "--set")
    if seed is not None:
        values = merge(values, {"matrix": {"seeds": [seed]}})
    results.read()  # find an unreadable file before hours of work
    repository.prepare()
    params = loader.load_yaml(PARAMS)
    merged = merge(params, values)
    _check_photos(merged)
    result = results.RecipeResult(
        recipe=name,
        seed=_seeds(merged),
        extra_overrides=_join(more),
        experiment=f"{name}{'' if seed is None else f'-s{seed}'}-{datetime.now():%y%m%d-%H%M%S}",
        commit=repository.commit(),
        digest=results.digest(recipe),
        minutes=0.0,
        finished="",
    )
    status, minutes = _run_dvc(result.experiment, hydra.overrides(values, params))
    return _save(replace(result, minutes=round(minutes, 1)), status)


def parse_assignments(assignments: list[str]) -> Tree:
    """Turn `KEY=VALUE` texts into a tree.

    Raises:
        UserError: All assignments that are wrong.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            problems.append(f"--set {text}: must be KEY=VALUE, e.g. train.mask.lr=0.001")
        elif key in values:
            problems.append(f"--set {text}: {key} is set twice; keep one")
        else:
            values[key] = loader.parse_yaml(value, f"--set {text}: the value")
    tree = expand(values, "--set", problems)
    if problems:
        raise UserError(problems)
    return tree


def _join(values: Tree) -> str:
    return "; ".join(f"{k}={to_line(v)}" for k, v in flatten(values).items())


def _check_photos(params: Tree) -> None:
    """Fail where photos are missing: DVC, before any stage runs, would name a folder only."""
    root, extra = (dig(params, key) for key in ("data.root", "data.extra"))
    for key, folder in (("root", root), ("extra", extra)):
        if not isinstance(folder, str):
            raise UserError(f"data.{key} = {folder!r} must be the path of a folder")
    layout.validate_layout(Path(root), Path(extra))


def _seeds(params: Tree) -> str:
    """Return the seeds of a run as runs.csv writes them: 0 or 0+1."""
    seeds = dig(params, "matrix.seeds")
    if not isinstance(seeds, list):
        raise UserError(f"matrix.seeds = {seeds!r} must be a list, e.g. [0]")
    return "+".join(map(str, seeds))


def _run_dvc(experiment: str, overrides: list[str]) -> tuple[int, float]:
    """Run `dvc exp run`; return its exit status and the minutes it took."""
    arguments = ["exp", "run", "--name", experiment]
    arguments += [part for line in overrides for part in ("-S", line)]
    print(shlex.join(["dvc", *arguments]), flush=True)
    # The stages call `python`, which must be this one.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments], env={**os.environ, "PATH": path}
    )
    while True:
        try:
            return process.wait(), (time.monotonic() - start) / 60
        except KeyboardInterrupt:
            continue  # the terminal interrupts DVC too, which ends its stage: wait for it


def _save(result: results.RecipeResult, status: int) -> int:
    """Add the result to runs.csv, or restore params.yaml after a failure; return the status."""
    if status:
        repository.restore_params()
        if result.minutes >= 1:
            results.append(result)
        print(
            f"{result.recipe} did not finish (dvc exp run: exit status {status}). params.yaml is"
            " restored; run the same command again to resume",
            file=sys.stderr,
        )
        return status
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    results.append(replace(result, finished=now, **read_metrics()))
    print(
        f"{result.experiment} took {result.minutes:.1f} minutes. Its metrics are in"
        f" {results.FILE}; commit that file before\nany dvc exp apply or git checkout. The other"
        " files here are now the experiment's (dvc exp show lists it)."
    )
    return 0


def read_metrics() -> dict[str, Any]:
    """Return data, counts and metrics of the run that has just ended, by their column in runs.csv.

    `dvc exp run` leaves the experiment's params.yaml and reports in place. A metric that they lack
    is None, such as the score without answers.
    """
    columns = {**results.COUNTS, **results.METRICS}
    files = {path: read_json(path) for path, _ in columns.values() if Path(path).exists()}
    found = {column: dig(files.get(path), key) for column, (path, key) in columns.items()}
    return {"data": dig(loader.load_yaml(PARAMS), "data.root"), **found}
