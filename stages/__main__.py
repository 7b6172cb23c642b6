"""Run one stage: python -m stages NAME [ARGUMENT ...]; dvc.yaml has the commands."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

try:
    import yaml

    from portrait18.core import arithmetic, extras, openmp
    from portrait18.core.errors import UserError, cli_errors, exit_on_signals
    from portrait18.core.supervision import terminate_with_dvc
    from stages import _provenance
except ImportError as error:
    if error.name and error.name.split(".")[0] in ("portrait18", "stages"):
        raise
    sys.exit(
        f"error: {sys.executable} lacks the package {error.name}; run . .venv/bin/activate (or"
        " pip install '.[train]'), then the same command again"
    )


def names() -> list[str]:
    """Return the names of all stage modules."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def set_arithmetic() -> None:
    """Set the arithmetic of params.yaml before numerical packages are imported.

    A file without a valid `compute` section is reported by the stage, which validates all of it.
    """
    try:
        compute = yaml.safe_load(Path("params.yaml").read_text())["compute"]
        kind, threads = str(compute["arithmetic"]), int(compute["threads"])
    except _provenance.UNREADABLE:
        return
    arithmetic.set_environment(kind, threads)


def check_arguments(name: str, function: Callable, arguments: list[str]) -> None:
    """Check that a stage's function takes these arguments.

    Raises:
        UserError: there are too few or too many; names the arguments.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments)
    except TypeError:
        words = [
            parameter.upper() if default.default is default.empty else f"[{parameter.upper()}]"
            for parameter, default in signature.parameters.items()
        ]
        given = " ".join(arguments) or "no arguments"
        raise UserError(
            f"stage {name} does not take {given}; run"
            f" {' '.join(['python -m stages', name, *words])} (dvc.yaml has the values)"
        ) from None


@cli_errors
def main(argv: list[str]) -> None:
    """Import the stage's module and call its `main` with the remaining arguments."""
    name, *arguments = argv or [""]
    if name not in names():
        raise UserError(
            f"{name!r} is not a stage; run python -m stages NAME with one of {', '.join(names())}"
        )
    extras.require("train", "python -m stages")
    snapshot = _provenance.start(name)
    openmp.shorten_waits()
    set_arithmetic()
    stage = importlib.import_module(f"stages.{name}")
    check_arguments(name, stage.main, arguments)
    stage.main(*arguments)
    _provenance.verify(snapshot)


if __name__ == "__main__":
    # Imports of PyTorch take seconds. A signal in this time must not print a traceback.
    exit_on_signals()
    terminate_with_dvc()
    main(sys.argv[1:])
