"""The command line: `portrait18 COMMAND`, or `python -m portrait18 COMMAND`."""

import argparse
import os
import sys
from importlib.metadata import PackageNotFoundError, version

from portrait18.core import arithmetic, extras, openmp
from portrait18.core.errors import UserError, cli_errors

DESCRIPTION = """\
Predicts from portrait photos whether a mask is worn, worn incorrectly or not worn, the gender and
the age group (under 30, 30 to 59, 60 and over), with a trained bundle: the folder that the
pipeline's stage export writes, or the starter model that comes with this package.
"""


def _add_predict(commands: argparse._SubParsersAction) -> None:
    from portrait18.deployment import predict_command  # imports NumPy, after the environment is set

    predict_command.add_command(commands)


def _add_serve(commands: argparse._SubParsersAction) -> None:
    if extras.missing("serve"):
        _add_missing(commands, "serve")
        return
    from portrait18.server import command

    command.add_command(commands)


def _add_missing(commands: argparse._SubParsersAction, name: str) -> None:
    """Add a command whose packages are missing. It takes any arguments and names the packages."""
    parser = commands.add_parser(
        name,
        help=f"needs more packages; portrait18 {name} names them",
        add_help=False,
        prefix_chars="\0",
    )
    parser.add_argument("arguments", nargs="*")
    parser.set_defaults(run=lambda args: extras.require(name, f"portrait18 {name}"))


def _arithmetic() -> str:
    """Return the kind of arithmetic that the environment asks for.

    Raises:
        UserError: there is no such kind.
    """
    kind = os.environ.get("PORTRAIT18_ARITHMETIC", "portable")
    if kind not in ("portable", "native"):
        raise UserError(
            f"PORTRAIT18_ARITHMETIC = {kind!r} must be portable or native; correct or unset it"
        )
    return kind


def _version() -> str:
    try:
        return version("portrait18")
    except PackageNotFoundError:
        return "from sources that pip has not installed"


#: Each adds a sub-parser whose `run` takes the parsed arguments and returns the exit status.
COMMANDS = {"predict": _add_predict, "serve": _add_serve}


@cli_errors
def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: arguments without the program's name; by default those of the process.
    """
    openmp.shorten_waits()
    # As in the pipeline's stages, so that predictions are the same bytes. A program that has
    # imported NumPy or PyTorch before it calls this function keeps its own arithmetic.
    if not arithmetic.imported_packages():
        arithmetic.set_environment(_arithmetic())
    parser = argparse.ArgumentParser(prog="portrait18", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"portrait18 {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    argv = sys.argv[1:] if argv is None else argv
    # Only the named command is imported.
    for name in [argv[0]] if argv and argv[0] in COMMANDS else COMMANDS:
        COMMANDS[name](commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
