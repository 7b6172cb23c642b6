"""Convert a labeled face data set to the competition's layout and draw masks on the faces.

python -m portrait18.importers utkface ~/UTKFace data/utkface --min-age 18 --limit 3000
python -m portrait18.importers csv ~/photos data/mine --age-column years --male 0 --female 1
"""

import argparse
import hashlib
import sys
from dataclasses import dataclass, replace

from portrait18.core import extras, openmp
from portrait18.core.errors import UserError, cli_errors, printable
from portrait18.core.files import path_argument, write_bytes
from portrait18.dataset import probing
from portrait18.dataset.limits import MAX_PIXELS
from portrait18.importers import building, csv_labels, selection, sources
from portrait18.importers.building import NO_FACE, TURNED
from portrait18.importers.mask_styles import VARIETIES

_SOURCES = """\
sources:
  utkface        FOLDER/<age>_<gender>_<race>_<date>.jpg, also in subfolders
  fairface       FOLDER/fairface_label_*.csv with the columns file, age, gender, race, or
                 FOLDER/labels.csv with path, age, gender of a selection
  all-age-faces  FOLDER/<id>A<age>.jpg; FOLDER is "original images" or "aligned faces"
  csv            FOLDER/labels.csv, or --labels, with a photo, a gender and an age per row

output:
  OUT/train/images/  one folder per person: one photo as it is, six with a drawn mask
  OUT/train/train.csv
  OUT/train/about.txt   one sentence with the source, which trained networks show; not for csv
  OUT/skipped.csv    photos that are left out, with the reason

Set data.extra in params.yaml to OUT to train on these people, too.
After an interruption, the same command resumes.
"""
#: Options that must be a number of at least this.
_MINIMUM = {"limit": 1, "side": 64, "seed": 0}


@dataclass(frozen=True)
class _Prepared:
    """People that are ready to be built, and what happened to the others."""

    selection: selection.Selection
    listed: int
    other_ages: int


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m portrait18.importers",
        usage="%(prog)s [options] SOURCE FOLDER OUT",
        description="Convert a labeled face data set to the competition's layout and draw masks"
        " on the faces.",
        epilog=_SOURCES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "source",
        metavar="SOURCE",
        choices=list(sources.PREFIXES),
        help="kind of data set, see below",
    )
    add(
        "folder",
        metavar="FOLDER",
        type=path_argument,
        help="folder with the photos; paths in a CSV are relative to it",
    )
    add("out", metavar="OUT", type=path_argument, help="new folder for the result")
    _add_csv_options(parser)
    _add_other_options(parser)
    return parser


def _add_csv_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("labels in CSV files (fairface, csv)").add_argument
    add(
        "--labels",
        type=path_argument,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files, if elsewhere",
    )
    for name in ("path", "gender", "age", "race"):
        add(f"--{name}-column", metavar="NAME", help=f"column of the {name}")
    add("--male", default="male", metavar="WORD", help="value for male (default: %(default)s)")
    add(
        "--female", default="female", metavar="WORD", help="value for female (default: %(default)s)"
    )


def _add_other_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("selection").add_argument
    for name, default, help in (
        ("--min-age", 18, "youngest; a range counts by its middle (default: %(default)s)"),
        ("--max-age", 100, "oldest (default: %(default)s)"),
    ):
        add(name, type=int, default=default, metavar="YEARS", help=help)
    add("--limit", type=int, metavar="N", help="draw N people at random (default: all)")
    add(
        "--problems",
        choices=["stop", "skip"],
        default="stop",
        help="faulty labels or photos: stop and list them, or skip them with a warning",
    )
    add = parser.add_argument_group("result").add_argument
    add("--race", default="unknown", help="race where the source has none (default: %(default)s)")
    add(
        "--masks",
        choices=list(VARIETIES),
        default="varied",
        help="varied: many kinds, fits and ways of wearing, and hands and scarves that are no"
        " masks, because networks that see few kinds fail on real ones; simple: four kinds, to"
        " measure the difference (default: %(default)s)",
    )
    add(
        "--side",
        type=int,
        default=512,
        metavar="PX",
        help="shrink longer photos to this (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=18,
        metavar="N",
        help="seed of masks and --limit (default: %(default)s)",
    )


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    for name, least in _MINIMUM.items():
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name} {value} must be {least} or more")
    if problem := csv_labels.race_problem(args.race):
        parser.error(f"--{problem}")
    if args.min_age > args.max_age:
        parser.error(f"--min-age {args.min_age} is above --max-age {args.max_age}; exchange them")
    if args.male.lower() == args.female.lower():
        parser.error(f"--male {args.male!r} and --female are equal; use a different word for each")


def _csv_format(args: argparse.Namespace) -> csv_labels.CsvFormat:
    names = {name: getattr(args, f"{name}_column") for name in ("path", "gender", "age", "race")}
    given = {name: column for name, column in names.items() if column is not None}
    original = args.source == "fairface" and args.labels
    base = csv_labels.FAIRFACE if original else csv_labels.default_format(args.source, args.folder)
    return replace(base, male=args.male, female=args.female, **given)


def _prepare(args: argparse.Namespace) -> _Prepared:
    """List the source's people and select those to build."""
    people, problems = sources.list_people(
        args.source, args.folder, args.labels, _csv_format(args), args.race
    )
    listed = len(people) + len(problems)
    aged = selection.select_ages(people, args.min_age, args.max_age)
    other_ages = len(people) - len(aged.people) - len(aged.skipped)
    probed = probing.probe(aged.people, args.folder, MAX_PIXELS)
    usable = selection.drop_faulty(probed.table)
    problems = [*problems, *probed.problems, *usable.problems]
    if problems and args.problems == "stop":
        raise UserError(problems, "--problems skip continues without these")
    for line in [*problems, *probed.warnings]:
        print(f"warning: {printable(line)}", file=sys.stderr)
    people = selection.sample(usable.people, args.limit, args.seed)
    if people.empty:
        raise UserError(
            f"{args.folder}: of {listed} people listed, {other_ages} are not from {args.min_age} to"
            f" {args.max_age} years old, {len(aged.skipped)} have an uncertain age group and"
            f" {len(problems)} have problems, so nobody is left; widen --min-age and --max-age or"
            " correct the labels"
        )
    chosen = selection.Selection(people, aged.skipped | usable.skipped)
    return _Prepared(chosen, listed, other_ages)


def _report(args: argparse.Namespace, trained: int, prepared: _Prepared) -> None:
    skipped = prepared.selection.skipped
    out = printable(str(args.out))
    print(f"{trained} people of {prepared.listed} listed, seven photos each, in {out}/train")
    if prepared.other_ages:
        print(f"{prepared.other_ages} are younger than {args.min_age} or older than {args.max_age}")
    for file, reason in sorted(skipped.items()):
        if reason in (NO_FACE, TURNED):
            print(printable(f"skipped: {args.folder / file}: {reason}"))
    if skipped:
        print(f"{len(skipped)} skipped for their photo or label: {out}/skipped.csv")


@cli_errors
def main(argv: list[str] | None = None) -> None:
    """Parse the command line and build the data set."""
    openmp.shorten_waits()
    parser = _parser()
    args = parser.parse_args(argv)
    extras.require("importers", "python -m portrait18.importers")
    _check(parser, args)
    prepared = _prepare(args)
    people, skipped = prepared.selection.people, prepared.selection.skipped
    inputs = {
        "source": args.source,
        "seed": args.seed,
        "side": args.side,
        "masks": args.masks,
        "people": hashlib.sha256(people.to_csv(index=False).encode()).hexdigest(),
    }
    building.claim(args.out, inputs)
    if about := sources.ABOUT.get(args.source):
        write_bytes(f"{about}\n".encode(), args.out / "train/about.txt")
    job = building.Job(people, args.folder, args.out, args.seed, args.side, args.masks)
    train = building.build(job, skipped)
    _report(args, len(train), prepared)


if __name__ == "__main__":
    main()
