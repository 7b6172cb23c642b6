"""Run recipes and compare their results.

python -m recipes.ledger run bench-cpu --seed 0    add a line to reports/runs.csv
python -m recipes.ledger table                     write reports/ledger.md
"""

import argparse
import sys

from portrait18.core.errors import cli_errors
from recipes import experiment, table


@cli_errors
def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run a command."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.ledger", description="Run recipes and compare their results."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser(
        "run", help="run a recipe as a DVC experiment and add it to reports/runs.csv"
    )
    runner.add_argument("name", help="name of a recipe: recipes/NAME.yaml")
    runner.add_argument("--seed", type=int, help="seed of the trainings (default: the recipe's)")
    runner.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one more value, in YAML, e.g. train.mask.lr=0.001; repeat for several",
    )
    commands.add_parser("table", help="write reports/ledger.md")
    args = parser.parse_args(argv)
    if args.command == "table":
        table.write()
    else:
        sys.exit(experiment.run(args.name, args.seed, args.set))


if __name__ == "__main__":
    main()
