"""Run a recipe as a DVC experiment and keep its figures; write the ledger of all runs.

python recipes/ledger.py run bench-cpu --seed 0      adds a line to reports/runs.csv
python recipes/ledger.py table                       writes reports/ledger.md
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # a script's own folder is on the path, not its parent

from portrait18.core.errors import UserError, cli_errors
from portrait18.dataset import layout
from recipes import chain, runs, table
from recipes.chain import Override

PARAMS = Path("params.yaml")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def check_git() -> None:
    """DVC keeps experiments as commits on a commit, which carry a name: said before hours of work, not after."""
    if subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True).returncode:
        raise UserError(
            "there is no git repository with a commit here, to which DVC ties experiments; "
            "clone the project, or make one: git init; git add --all; git commit"
        )
    known = (
        subprocess.run(["git", "config", "user.email"], stdout=subprocess.DEVNULL).returncode == 0
    )
    if not known and not os.environ.get("GIT_COMMITTER_EMAIL"):
        raise UserError(
            "git does not know your name, under which DVC keeps experiments; give it once: "
            "git config --global user.name NAME; git config --global user.email MAIL"
        )


def reattach() -> None:
    """Put HEAD back on the branch that it stands at the tip of: DVC takes it off, and killed it can't put it back."""
    if not subprocess.run(
        ["git", "symbolic-ref", "--quiet", "HEAD"], stdout=subprocess.DEVNULL
    ).returncode:
        return
    if any(
        Path(_output("git", "rev-parse", "--git-path", f"rebase-{how}").strip()).exists()
        for how in ("merge", "apply")
    ):
        return  # git itself has taken it off
    branches = _output(
        "git", "for-each-ref", "--points-at=HEAD", "--format=%(refname)", "refs/heads"
    ).split()
    if len(branches) == 1:
        _output("git", "symbolic-ref", "HEAD", branches[0])
        print(
            f"git HEAD was detached, as a killed experiment leaves it; it is on {branches[0].removeprefix('refs/heads/')} again"
        )


def start_from_committed_params() -> None:
    """Put params.yaml back where an experiment left its own in it: -S would change those, not the committed ones.

    Raises:
        UserError: params.yaml holds changes that are kept nowhere else.
    """
    if yaml.safe_load(PARAMS.read_text()) == yaml.safe_load(
        _output("git", "show", f"HEAD:./{PARAMS}")
    ):
        return
    refs = _output("git", "for-each-ref", "--format=%(refname)", "refs/exps/??/*/*").split()
    present = _output("git", "hash-object", str(PARAMS))
    for ref in refs:
        kept = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", f"{ref}:./{PARAMS}"], capture_output=True
        )
        if kept.stdout.decode() == present:
            _output("git", "checkout", "--quiet", "HEAD", "--", str(PARAMS))
            print(
                f"params.yaml held the experiment {ref.rsplit('/', 1)[1]}; a recipe starts from the committed one"
            )
            return
    raise UserError(
        "params.yaml has changes that are not committed, and a recipe would be measured with them; "
        "commit them, or drop them: git checkout params.yaml"
    )


def require_photos(overrides: dict[str, Override]) -> None:
    """`UserError` where the photos that a run would read are not there: DVC, asked before any stage, names a folder alone."""
    folders = yaml.safe_load(PARAMS.read_text())["data"]
    told = {name: overrides.get(f"data.{name}") for name in ("root", "extra")}
    root, extra = (
        Path(yaml.safe_load(of.value) if of else folders[name]) for name, of in told.items()
    )
    layout.validate_layout(root, extra)


def seeds_of(overrides: dict[str, Override]) -> str:
    """The seeds that a run trains, as runs.csv writes them: 0 or 0+1."""
    told = overrides.get("matrix.seeds")
    seeds = (
        yaml.safe_load(told.value)
        if told
        else yaml.safe_load(PARAMS.read_text())["matrix"]["seeds"]
    )
    return "+".join(map(str, seeds))


def committed() -> str:
    """The commit, with + behind it where the code has changes that are not in it."""
    inside = ["--", ".", ":!params.yaml", ":!dvc.lock", ":!reports"]
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", *inside)
    return _output("git", "rev-parse", "--short", "HEAD").strip() + ("+" if changed else "")


def _dig(tree: Any, path: str) -> Any:
    """The value at a dotted path of nested dicts; None where there is none."""
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def figures(shown: list[dict], experiment: str) -> dict[str, Any]:
    """Data, counts and figures of an experiment, by their column, out of `dvc exp show --json`.

    Raises:
        UserError: the experiment is not there.
    """
    for commit in shown:
        for kept in commit["experiments"] or []:
            if kept["name"] != experiment or not kept["revs"]:
                continue
            data = kept["revs"][0]["data"] or {}
            metrics = {path: told.get("data") for path, told in (data.get("metrics") or {}).items()}
            found = {
                c: _dig(metrics.get(path), at)
                for c, (path, at) in {**runs.COUNTS, **runs.FIGURES}.items()
            }
            return {
                "data": _dig((data.get("params") or {}).get(str(PARAMS)), "data.data.root") or "",
                **found,
            }
    raise UserError(
        f"dvc exp show does not know {experiment}; its figures are in reports/*.json only"
    )


def experiment(name: str, overrides: dict[str, Override], env: dict[str, str]) -> tuple[int, float]:
    """Run `dvc exp run`; its exit status and the minutes it took."""
    told = [part for line in overrides.values() for part in ("-S", str(line))]
    print(" ".join(["dvc exp run --name", name, *told]), flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "exp", "run", "--name", name, *told], env=env
    )
    while True:
        try:
            return process.wait(), (time.monotonic() - start) / 60
        except (
            KeyboardInterrupt
        ):  # the terminal has told DVC too: it ends its stage, and has to be waited for
            continue


def run(name: str, seed: int | None, also: list[str]) -> int:
    """Run a recipe, add a line to reports/runs.csv; the exit status.

    A run that is stopped or fails after a minute or more leaves a line without figures, so that its minutes count
    when it is gone on with.
    """
    recipe = chain.resolve(name)
    beside = [chain.override(line, "--also") for line in also]
    overrides = chain.merge(recipe, beside)
    if seed is not None:
        overrides = chain.merge(overrides, [Override("", "matrix.seeds", f"[{seed}]")])
    runs.read()  # an unreadable file is found before hours of work
    check_git()
    reattach()
    start_from_committed_params()
    require_photos(overrides)
    known = {
        "recipe": name,
        "seed": seeds_of(overrides),
        "also": "; ".join(map(str, beside)),
        "experiment": f"{name}{'' if seed is None else f'-s{seed}'}-{datetime.now():%y%m%d-%H%M%S}",
        "commit": committed(),
        "overrides": runs.digest(recipe.values()),
    }
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": programs}  # the stages call `python`: this one
    status, minutes = experiment(known["experiment"], overrides, env)
    known["minutes"] = round(minutes, 1)
    if status:
        _output("git", "checkout", "--quiet", "HEAD", "--", str(PARAMS))
        if minutes >= 1:
            runs.append(runs.Run(**known, finished=""))
        told = "params.yaml is as committed again; the same command goes on from where it stopped"
        print(f"{name} did not finish (status {status} of dvc exp run); {told}", file=sys.stderr)
        return status
    shown = json.loads(_output(sys.executable, "-m", "dvc", "exp", "show", "--json"))
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    runs.append(runs.Run(**known, finished=now, **figures(shown, known["experiment"])))
    print(
        f"{known['experiment']} took {minutes:.1f} minutes; kept in {runs.FILE}: commit that file before any"
    )
    print(
        "dvc exp apply or git checkout. The other files here are now the experiment's; dvc exp show lists it."
    )
    return 0


@cli_errors
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python recipes/ledger.py", description="Run recipes, compare their scores."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser(
        "run", help="run a recipe as a DVC experiment, add it to reports/runs.csv"
    )
    runner.add_argument("name", help="a file of recipes/ without its .txt")
    runner.add_argument("--seed", type=int, help="of the trainings; without it the recipe's own")
    runner.add_argument(
        "--also", action="append", default=[], metavar="KEY=VALUE", help="one more override"
    )
    commands.add_parser("table", help="write reports/ledger.md")
    args = parser.parse_args(argv)
    if args.command == "table":
        table.write()
    else:
        sys.exit(run(args.name, args.seed, args.also))


if __name__ == "__main__":
    main()
