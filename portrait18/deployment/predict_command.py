"""`portrait18 predict`: the faces of photos anywhere, and the answers for each."""

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from portrait18.core.errors import UserError, printable
from portrait18.core.files import atomic_write
from portrait18.dataset.classes import TASKS
from portrait18.dataset.photos import PhotoError
from portrait18.deployment import photo_listing

DESCRIPTION = """\
Finds every face in the photos and answers for each: mask (worn, incorrect, none), gender (male, female), age group
(young: under 30, middle: 30 to 59, old: 60 and over), and the class, 6 * mask + 3 * gender + age. Prints a line for
each face, the largest of a photo first. The class is what macro-F1 was best with on held-out people: where the
ensemble shifts towards rare classes it need not be the likeliest.
"""
EPILOG = """\
exit status:
  0  every photo was read (a photo without a face counts as read)
  1  nothing to do it with or on: no bundle, no such photo, nowhere to write
  2  the command line is wrong
  3  some photos could not be read; they are listed on stderr, all others are answered

examples:
  portrait18 predict portrait.jpg
  portrait18 predict photos/ --csv > answers.csv
  portrait18 predict 'holiday/**/*.jpg' --min-face 0.05 --json --draw annotated/
"""
BOX = ("x0", "y0", "x1", "y1")
COLUMNS = ["photo", "face", "found", "score", *BOX, *TASKS, "class", "name"]
COLUMNS += [column for task in TASKS.values() for column in task.columns] + ["years"]
#: Drawn copies keep the format of these; the others become PNG.
DRAWN = (".jpg", ".jpeg", ".png", ".webp")


def _number(kind: type, text: str) -> float:
    """The number, or NaN, which no range has."""
    try:
        return kind(text)
    except ValueError:
        return float("nan")


def _share(text: str) -> float:
    value = _number(float, text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f"{text} must be a share of the photo's shorter side, above 0 and at most 1"
        )
    return value


def _pixels(text: str) -> int:
    value = _number(int, text)
    if not value >= 1:
        raise argparse.ArgumentTypeError(f"{text} must be a number of pixels, at least 1")
    return value


def add_command(commands) -> None:
    """Add `predict` to the sub-parsers of `portrait18.cli`."""
    parser = commands.add_parser(
        "predict",
        help="faces, mask, gender and age group of photos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO|FOLDER|GLOB",
        help="photos; folders with all below them; quoted patterns",
    )
    parser.add_argument(
        "--bundle", default="models/bundle", metavar="FOLDER", help="the ensemble (%(default)s)"
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--json",
        action="store_const",
        dest="lines",
        const=_json,
        help="JSON Lines: an object for each photo",
    )
    shape.add_argument(
        "--csv", action="store_const", dest="lines", const=_csv, help="CSV: a row for each face"
    )
    parser.set_defaults(lines=_text)
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="OUT",
        help="write copies with boxes and answers to this folder",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="take a photo without a face for a portrait, and answer for where faces usually are",
    )
    parser.add_argument(
        "--min-face",
        type=_share,
        metavar="SHARE",
        help="smallest face, as a share of the photo's shorter side (the bundle's own, which suits portraits; "
        "0.05 finds the small faces of group photos, slowly)",
    )
    parser.add_argument(
        "--max-pixels",
        type=_pixels,
        default=50_000_000,
        help="larger photos are refused (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Answer for all that is named; the exit status."""
    paths = photo_listing.listed(args.photos)
    copies = _copies(paths, args.draw) if args.draw else {}
    import portrait18
    from portrait18.core.device import set_deterministic
    from portrait18.deployment import annotation

    set_deterministic()
    sys.stdout.reconfigure(
        encoding="utf-8", errors="surrogateescape"
    )  # names of files may hold anything
    predictor = portrait18.load(args.bundle, min_face=args.min_face)
    bad = []
    try:
        if args.lines is _csv:
            print(_row(COLUMNS))
        with tqdm(total=len(paths), desc="predict", unit="photo", disable=None) as bar:
            for chunk in photo_listing.chunks(paths, args.max_pixels):
                bad += [
                    printable(f"{path} {error}")
                    for path, error in chunk
                    if isinstance(error, PhotoError)
                ]
                good = [(path, photo) for path, photo in chunk if not isinstance(photo, PhotoError)]
                for (path, photo), faces in zip(
                    good, _predict(predictor, good, args.whole), strict=True
                ):
                    for line in args.lines(path, faces):
                        bar.write(line, file=sys.stdout)
                    if args.draw:
                        labels = [_label(n, face) for n, face in enumerate(faces, start=1)]
                        drawn = annotation.annotated(photo, [face["box"] for face in faces], labels)
                        with atomic_write(copies[path]) as tmp_path:
                            drawn.save(tmp_path, quality=92)
                bar.update(len(chunk))
        sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # whoever reads has seen enough; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if bad:
        print(
            f"{len(bad)} of {len(paths)} photos could not be read:",
            *bad,
            sep="\n  ",
            file=sys.stderr,
        )
    return 3 if bad else 0


def _predict(
    predictor, photos: list[tuple[Path, np.ndarray]], assume_face: bool
) -> list[list[dict[str, Any]]]:
    """Return `FacePrediction.to_dict` of each face of each photo."""
    results = predictor.predict([photo for _, photo in photos], assume_face=assume_face)
    return [[face.to_dict() for face in result.faces] for result in results]


def _copies(paths: list[Path], out: Path) -> dict[Path, Path]:
    """Where each drawn copy goes: under `out` as the photos lie to each other."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--draw {out} is a file; name a folder, new or not")
    full = {path: Path(os.path.abspath(path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in full.values()]))
    copies = {}
    for path, absolute in full.items():
        copy = out / absolute.relative_to(common)
        copies[path] = copy if copy.suffix.lower() in DRAWN else copy.with_name(f"{copy.name}.png")
    if twice := [str(copy) for copy, times in Counter(copies.values()).items() if times > 1]:
        raise UserError(
            f"--draw {out}: two photos would be drawn as {', '.join(twice)}; rename one of the two"
        )
    photos = {path.resolve() for path in paths}
    if any(copy.resolve() in photos for copy in copies.values()):
        raise UserError(
            f"--draw {out}: the copies would take the place of the photos; name another folder"
        )
    return copies


def _words(face: dict[str, Any]) -> list[str]:
    """The three answers as people read them, with the probability of each."""
    told = zip(TASKS, face["name"].split(), strict=True)
    return [f"{word} {face[task]['probabilities'][face[task]['label']]:.0%}" for task, word in told]


def _label(n: int, face: dict[str, Any]) -> list[str]:
    mask, *others = _words(face)
    return [f"{n}  mask {mask}", *others]


def _text(path: Path, faces: list[dict[str, Any]]) -> list[str]:
    if not faces:
        return [f"{path}  no face found"]
    ways = {"retry": ", found at lower thresholds", "median": ", no face found: guessed"}
    return [
        f"{path}  face {n} of {len(faces)}  mask {', '.join(_words(face))}  class {face['class']}"
        f"  box {' '.join(f'{v:.0f}' for v in face['box'])}{ways.get(face['found'], '')}"
        for n, face in enumerate(faces, start=1)
    ]


def _json(path: Path, faces: list[dict[str, Any]]) -> list[str]:
    return [json.dumps({"photo": str(path), "faces": faces}, ensure_ascii=False)]


def _csv(path: Path, faces: list[dict[str, Any]]) -> list[str]:
    rows = []
    for n, face in enumerate(faces, start=1):
        row = {**face, "photo": path, "face": n, **dict(zip(BOX, face["box"], strict=True))}
        for task in TASKS.values():
            row[task.name] = face[task.name]["label"]
            row |= dict(zip(task.columns, face[task.name]["probabilities"].values(), strict=True))
        rows.append(_row([row[column] for column in COLUMNS]))
    # A photo without a face keeps a row: whoever counts must miss none.
    return rows or [_row([path, 0, *[""] * (len(COLUMNS) - 2)])]


def _row(cells: list) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
