"""The command line: `portrait18 COMMAND`, or `python -m portrait18 COMMAND`."""

import argparse
import sys

from portrait18.core.errors import cli_errors
from portrait18.deployment import predict_command
from portrait18.server import command

DESCRIPTION = """\
Tells from portrait photos whether a mask is worn, worn incorrectly or not worn, the gender and the age group
(under 30, 30 to 59, 60 and over), with a trained ensemble: the folder that the pipeline's stage export writes.
"""
#: Each adds its sub-parser, whose default `run` takes the parsed arguments and returns the exit status.
COMMANDS = (predict_command.add_command, command.add_command)


@cli_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="portrait18", description=DESCRIPTION)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
