"""Run one stage: python -m stages NAME [ARGUMENT ...]; dvc.yaml has the commands."""

import importlib
import sys
from pathlib import Path

try:
    import yaml

    from portrait18.core import arithmetic, extras
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
    except (OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError):
        return
    arithmetic.set_environment(kind, threads)


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
    set_arithmetic()
    importlib.import_module(f"stages.{name}").main(*arguments)
    _provenance.verify(snapshot)


if __name__ == "__main__":
    # Imports of PyTorch take seconds. A signal in this time must not print a traceback.
    exit_on_signals()
    terminate_with_dvc()
    main(sys.argv[1:])
