"""Other people's labelled faces into the competition's layout, masks drawn over them.

    python -m portrait18.importers utkface ~/UTKFace data/utkface --min-age 18 --limit 3000
    python -m portrait18.importers csv ~/photos data/mine --age-column years --male 0 --female 1

    OUT/train/images/<id>_<gender>_<race>_<age>/   normal, incorrect_mask, mask1 ... mask5, each .jpg
    OUT/train/train.csv                            written last: it stands for a whole set
    OUT/skipped.csv                                file,reason of everybody left out for what is on the photo

Killed, the same command goes on; the bytes are those of an undisturbed run.
"""

import argparse
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from portrait18.core.device import device
from portrait18.core.errors import UserError, cli_errors, printable
from portrait18.core.files import atomic_write, write_json
from portrait18.cropping.mtcnn import Mtcnn
from portrait18.dataset import inventory, photos, tables
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.tables import write_csv
from portrait18.importers import landmarks, mask_drawing, sources

BATCH = 32  # photos MTCNN looks at together; also what a kill can cost
MIN_FACE = 0.2  # smallest face, as a share of the shorter side
MAX_PIXELS = 50_000_000
QUALITY = 92  # of the JPEG files
NO_FACE, TURNED = "no face found", "face seen from the side"
MADE_OF = ".made_of.json"  # fingerprint of what a folder is made of


def select(people: pd.DataFrame, youngest: int, oldest: int) -> tuple[pd.DataFrame, dict[str, str]]:
    """The people of these ages (both included; a range counts by its middle) whose age group is sure.

    Returns:
        Their rows, and file -> reason for those whose range of ages straddles a border of the age groups.
    """
    people = people[people.age.between(youngest, oldest)]
    unsure = {
        row.photo: f"ages {row.low}-{row.high} straddle a border of the age groups"
        for row in people.itertuples()
        if sources.Years(row.low, row.high, row.age).straddles
    }
    return people[~people.photo.isin(unsure)], unsure


def _read(path: Path, side: int) -> np.ndarray:
    """The photo, its longer side at most `side` pixels."""
    try:
        photo = photos.read(path, MAX_PIXELS)
    except photos.PhotoError as error:
        raise UserError(
            f"{path} {error}; it was well when the photos were listed, run this command again"
        ) from None
    scale = side / max(photo.shape[:2])
    if scale >= 1:
        return photo
    width, height = (max(photos.MIN_SIDE, round(n * scale)) for n in photo.shape[1::-1])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def _shot(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photo from a little nearer and in a little other light: seven photos of a person are never one."""
    height, width = photo.shape[:2]
    zoom, place = rng.uniform(1, 1.08), rng.random(2)
    moved = np.array(
        [[zoom, 0, -(zoom - 1) * width * place[0]], [0, zoom, -(zoom - 1) * height * place[1]]]
    )
    nearer = cv2.warpAffine(
        photo, moved, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.rint((nearer * rng.uniform(0.9, 1.06)).clip(0, 255)).astype(np.uint8)


def seven(photo: np.ndarray, points: np.ndarray, seed: int, person: str) -> dict[str, np.ndarray]:
    """File stem -> photo, uint8 (H, W, 3): what the layout wants of a person; drawn by seed and person."""
    result = {}
    for state in MASK_BY_STEM:
        key = hashlib.blake2b(f"{seed}/{person}/{state}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(key))
        worn = "worn"
        if state == "incorrect_mask":
            worn = "nose" if rng.random() < 0.6 else "chin"
        drawn = (
            photo
            if state == "normal"
            else mask_drawing.draw(photo, points, worn, int(rng.integers(2**32)))
        )
        result[state] = _shot(drawn, rng)
    return result


def _fault(points: np.ndarray | None) -> str:
    """Why no mask can be drawn by these points; empty if one can."""
    if points is None:
        return NO_FACE
    return "" if mask_drawing.frontal(points) else TURNED


def _complete(folder: Path) -> bool:
    return all((folder / f"{state}.jpg").exists() for state in MASK_BY_STEM)


def _write(folder: Path, of_person: dict[str, np.ndarray]) -> None:
    for state, photo in of_person.items():
        # `normal` is compressed like the others: no trace of the file may tell the mask state.
        _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with atomic_write(folder / f"{state}.jpg") as tmp_path:
            tmp_path.write_bytes(data.tobytes())


def build(
    people: pd.DataFrame, folder: Path, out: Path, skipped: dict[str, str], seed: int, side: int
) -> pd.DataFrame:
    """Write everybody's seven photos and train.csv; goes on where an earlier call was killed.

    Args:
        people: photo (relative to `folder`), id, gender, race, age; all photos can be decoded.
        folder: where the photos are.
        out: the root of the new data set.
        skipped: file -> reason; those without a usable face are added.
        seed: draws masks, their fit and each photo's view.
        side: longer photos are shrunk to so many pixels.

    Returns:
        train.csv's table.
    """
    people = people.assign(
        path=[f"{p.id}_{p.gender}_{p.race}_{p.age}" for p in people.itertuples()]
    )
    images, listed = out / "train/images", out / "skipped.csv"
    if listed.exists():
        earlier = tables.read_user_csv(listed, ["file", "reason"])
        skipped.update(
            (row.file, row.reason)
            for row in earlier.itertuples()
            if row.reason in (NO_FACE, TURNED)
        )
    net = Mtcnn(device())

    def finish(person, photo: np.ndarray, points: np.ndarray) -> None:
        _write(images / person.path, seven(photo, points, seed, person.id))

    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=len(people), desc="draw", unit="person", disable=None) as bar,
    ):
        # The same photos stand in a batch whatever was done before: MTCNN rounds by batch.
        for start in range(0, len(people), BATCH):
            batch = people.iloc[start : start + BATCH]
            todo = [
                p
                for p in batch.itertuples()
                if p.photo not in skipped and not _complete(images / p.path)
            ]
            if todo:
                decoded = list(pool.map(lambda name: _read(folder / name, side), batch.photo))
                points = landmarks.find(net, decoded, MIN_FACE)
                of = {name: both for name, *both in zip(batch.photo, decoded, points, strict=True)}
                skipped.update(
                    (name, fault) for name, (_, face) in of.items() if (fault := _fault(face))
                )
                # Each person's draws are its own: in whatever order threads do them, the bytes are the same.
                jobs = [
                    pool.submit(finish, p, *of[p.photo]) for p in todo if p.photo not in skipped
                ]
                for job in jobs:
                    job.result()
                _write_skipped(skipped, listed)
            bar.update(len(batch))
    train = people[~people.photo.isin(skipped)][["id", "gender", "race", "age", "path"]]
    _write_skipped(skipped, listed)
    write_csv(train, out / "train/train.csv")
    return train


def _write_skipped(skipped: dict[str, str], path: Path) -> None:
    write_csv(pd.DataFrame(sorted(skipped.items()), columns=["file", "reason"]), path)


def _claim(out: Path, made_of: dict) -> None:
    """Make OUT this command's own; `UserError` if it holds anything else."""
    mark = out / MADE_OF
    if mark.exists():
        try:
            earlier = json.loads(mark.read_text())
        except ValueError:
            raise UserError(f"{mark} is damaged; delete {out} or name another folder") from None
        if earlier != made_of:
            raise UserError(
                f"{out} was made of other photos or with other options; delete it or name another folder"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and was not made by this command; name a new folder")
    write_json(made_of, mark)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m portrait18.importers",
        description="Other people's labelled faces into the competition's layout, masks drawn over them.",
    )
    add = parser.add_argument
    add(
        "source",
        choices=list(sources.PREFIXES),
        help="what the folder is; see portrait18/importers/sources.py",
    )
    add(
        "folder",
        type=Path,
        help="the folder with the photos; for CSV sources the one that paths are relative to",
    )
    add("out", type=Path, help="a new folder, for train/, train.csv and skipped.csv")
    add(
        "--labels",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="CSV files (else those in the folder)",
    )
    for name in ("path", "gender", "age", "race"):
        add(f"--{name}-column", default=None, metavar="NAME", help=f"CSV column with the {name}")
    add("--male", default="male", metavar="WORD", help="the CSV's word for male")
    add("--female", default="female", metavar="WORD", help="the CSV's word for female")
    add(
        "--race",
        default="unknown",
        help="race where the source tells none (it is part of folder names)",
    )
    add(
        "--min-age",
        type=int,
        default=18,
        metavar="YEARS",
        help="youngest; a range counts by its middle (%(default)s)",
    )
    add("--max-age", type=int, default=100, metavar="YEARS", help="oldest (%(default)s)")
    add("--limit", type=int, metavar="N", help="draw N people by the seed")
    add(
        "--side",
        type=int,
        default=512,
        metavar="PX",
        help="shrink longer photos to this (%(default)s)",
    )
    add("--seed", type=int, default=18, help="another draw of masks and people (%(default)s)")
    add(
        "--problems",
        choices=["stop", "skip"],
        default="stop",
        help="bad labels or photos: list and end, or go on",
    )
    return parser


@cli_errors
def main(argv: list[str] | None = None) -> None:
    parser = _arguments()
    args = parser.parse_args(argv)
    for name, value, least in (
        ("limit", args.limit, 1),
        ("side", args.side, 64),
        ("seed", args.seed, 0),
    ):
        if value is not None and value < least:
            parser.error(f"--{name} {value} must be {least} or more")
    if fault := sources.race_fault(args.race):
        parser.error(f"--{fault}")
    if args.male.lower() == args.female.lower():
        parser.error(
            f"--male {args.male!r} and --female are the same word; each gender needs its own"
        )
    columns = (
        sources.Columns(path="file", race="race")
        if args.source == "fairface"
        else sources.Columns()
    )
    told = {name: getattr(args, f"{name}_column") for name in ("path", "gender", "age", "race")}
    columns = columns._replace(
        male=args.male, female=args.female, **{k: v for k, v in told.items() if v is not None}
    )

    people, problems = sources.list_people(
        args.source, args.folder, args.labels, columns, args.race
    )
    listed = len(people) + len(problems)
    people, skipped = select(people, args.min_age, args.max_age)
    people, bad = inventory.probe(people, args.folder, MAX_PIXELS)
    contradicting = sources.contradictions(people)
    problems += bad + list(contradicting.values())
    if problems and args.problems == "stop":
        raise UserError(problems, "--problems skip goes on without these")
    for line in problems:
        print(f"warning: {printable(line)}", file=sys.stderr)
    people = people[(people.width > 0) & ~people.photo.isin(contradicting)]
    copies = people[people.digest.duplicated()]
    skipped |= dict.fromkeys(copies.photo, "the same file as another one")
    people = people.drop(copies.index)
    if args.limit and args.limit < len(people):
        drawn = np.random.default_rng(args.seed).choice(len(people), args.limit, replace=False)
        people = people.iloc[np.sort(drawn)]
    if people.empty:
        raise UserError(
            f"{args.folder}: nobody from {args.min_age} to {args.max_age} is left; widen the ages"
        )
    rows = people.to_csv(index=False).encode()
    made_of = {
        "source": args.source,
        "seed": args.seed,
        "side": args.side,
        "people": hashlib.sha256(rows).hexdigest(),
    }
    _claim(args.out, made_of)
    train = build(people, args.folder, args.out, skipped, args.seed, args.side)

    reasons = pd.Series(skipped, dtype=str)
    print(f"{len(train)} people of {listed} listed, seven photos each, in {args.out / 'train'}")
    for file, reason in reasons[reasons.isin([NO_FACE, TURNED])].sort_index().items():
        print(f"skipped: {args.folder / file}: {reason}")
    if skipped:
        print(
            f"{len(skipped)} left out for what is on the photo or in its label: {args.out / 'skipped.csv'}"
        )


if __name__ == "__main__":
    main()
