"""`portrait18 predict`: find and classify every face of photos."""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from portrait18.core.errors import printable
from portrait18.core.files import path_argument
from portrait18.dataset.limits import MAX_PIXELS
from portrait18.dataset.photos import PhotoError
from portrait18.deployment import annotated_copies, output_formats, photo_listing
from portrait18.deployment import bundle as bundles

if TYPE_CHECKING:  # importing it can import PyTorch, which takes seconds
    from portrait18.deployment.predictor import Predictor

DESCRIPTION = """\
Finds every face in the photos and predicts mask (worn, incorrect, none), gender (male, female),
age group (young: under 30, middle: 30 to 59, old: 60 and over) and the class, 6 * mask +
3 * gender + age. Prints one line per face, the largest of a photo first. A bundle whose decision
(ensemble.decision) is not argmax shifts towards rare classes, so its predicted class is not always
the most probable one.
"""
EPILOG = """\
exit status:
  0  every photo was read (a photo without a face counts as read)
  1  nothing to do: no such bundle or photo, or output not writable
  2  invalid command line
  3  some photos or folders could not be read; stderr lists them, all others are predicted

examples:
  portrait18 predict portrait.jpg
  portrait18 predict photos/ --csv > predictions.csv
  portrait18 predict 'holiday/**/*.jpg' --min-face 0.05 --json --draw annotated/
"""


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f"{text} must be a share of the photo's shorter side, above 0 and at most 1"
        )
    return value


def _pixels(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a number of pixels, at least 1")
    return value


def _default_bundle() -> str:
    folder = bundles.choose()
    description = textwrap.indent(textwrap.fill(bundles.describe(folder), 90), "  ")
    return f"\n{bundles.title(folder)}:\n{description}\n" if description else ""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `predict` to the sub-parsers of `portrait18.cli`."""
    parser = commands.add_parser(
        "predict",
        help="faces, mask, gender and age group of photos",
        description=DESCRIPTION,
        epilog=EPILOG + _default_bundle(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, lines=output_formats.text_lines)
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO|FOLDER|GLOB",
        help="photos; folders, including subfolders; quoted patterns",
    )
    parser.add_argument(
        "--bundle",
        metavar="FOLDER",
        help=f"a trained bundle (default: {bundles.OWN} if it exists, else the starter model)",
    )
    _add_output_options(parser)
    _add_inference_options(parser)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument(
        "--json",
        action="store_const",
        dest="lines",
        const=output_formats.json_lines,
        help="JSON Lines: one object per photo",
    )
    formats.add_argument(
        "--csv",
        action="store_const",
        dest="lines",
        const=output_formats.csv_lines,
        help="CSV: one row per face",
    )
    parser.add_argument(
        "--draw",
        type=path_argument,
        metavar="OUT",
        help="write copies with boxes and predictions to this folder",
    )


def _add_inference_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--assume-face",
        action="store_true",
        help="if no face is found, assume a portrait and predict where faces usually are",
    )
    parser.add_argument(
        "--min-face",
        type=_share,
        metavar="SHARE",
        help="smallest face, as a share of the photo's shorter side (default: the bundle's, which"
        " suits portraits; 0.05 finds the small faces of group photos, slowly)",
    )
    parser.add_argument(
        "--engine",
        choices=("torch", "onnx"),
        help="what runs the networks: PyTorch, or ONNX Runtime on the CPU, which starts faster"
        " (default: PyTorch if it is installed)",
    )
    parser.add_argument(
        "--max-pixels",
        type=_pixels,
        default=MAX_PIXELS,
        help="largest photo, width x height (%(default)s); JPEGs above 25 million are decoded at"
        " half size or less",
    )


def run(args: argparse.Namespace) -> int:
    """Predict all photos that the arguments name; return the exit status."""
    paths, notes, is_partial = photo_listing.list_photos(args.photos)
    copies = annotated_copies.choose_paths(paths, args.draw) if args.draw else {}
    import portrait18
    from portrait18.deployment import engines

    engines.prepare(args.engine)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    folder = bundles.choose(args.bundle)
    predictor = portrait18.load(folder, min_face=args.min_face, engine=args.engine)
    print(f"{bundles.title(folder)}: {predictor.manifest.description()}", file=sys.stderr)
    try:
        bad = _predict_all(predictor, paths, copies, args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe, such as `| head`. Nothing more may be written, even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    if bad:
        print(
            f"{len(bad)} of {len(paths)} photos could not be read:",
            *bad,
            sep="\n  ",
            file=sys.stderr,
        )
    return 3 if bad or is_partial else 0


def _predict_all(
    predictor: Predictor, paths: list[Path], copies: dict[Path, Path], args: argparse.Namespace
) -> list[str]:
    """Print predictions and write annotated copies; return a line for each unreadable photo."""
    bad = []
    if args.lines is output_formats.csv_lines:
        print(output_formats.csv_header())
    with tqdm(total=len(paths), desc="predict", unit="photo", disable=None) as bar:
        for chunk in photo_listing.read_in_chunks(paths, args.max_pixels):
            good = []
            for path, photo in chunk:
                if isinstance(photo, PhotoError):
                    bad.append(printable(f"{path} {photo}"))
                else:
                    if photo.warning:
                        bar.write(f"warning: {printable(f'{path} {photo.warning}')}", sys.stderr)
                    good.append((path, photo))
            predictions = predictor.predict(
                [photo for _, photo in good], assume_face=args.assume_face
            )
            for (path, photo), prediction in zip(good, predictions, strict=True):
                for line in args.lines(path, prediction.faces):
                    bar.write(line, file=sys.stdout)
                if args.draw:
                    annotated_copies.write(photo, prediction.faces, copies[path])
            bar.update(len(chunk))
    return bad
