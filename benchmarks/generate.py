"""A data set of the competition's shape, made from a smaller one.

    python -m benchmarks.generate data/generated               2,700 people, 31,500 photos
    python -m benchmarks.generate data/generated --scale 0.1 --source data/bench

Photos vary in size, light and compression.

Folders, CSV files, class proportions, file counts and mixed extensions are the competition's. It
measures speed and scale only: its people are copies of few, so scores on it mean nothing. Equal
arguments give equal files.
"""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from portrait18.core.errors import UserError, cli_errors
from portrait18.dataset.layout import parse_folder

#: People per gender and age group (<30, 30-59, >=60) in the competition's training set.
PEOPLE = {"male": (549, 410, 83), "female": (732, 817, 109)}
AGES = ((18, 29), (30, 59), (60, 60))  # years, both included; the oldest people are all exactly 60
EVAL_PHOTOS = 12_600
STEMS = ("normal", "incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5")
SIZE = (384, 512)  # pixels, width and height
SUFFIXES, SUFFIX_SHARES = (".jpg", ".jpeg", ".png"), (0.85, 0.1, 0.05)
SUFFIXED_IDS = 41  # of 2,700 ids end in -1 or -2
TWICE = 1698  # this position and the next share one id, 003397, with different ages


@dataclass(frozen=True)
class Person:
    """One generated person and the folder of photos that it is made from."""

    folder: str
    source: Path
    seed: int


def people(source: Path, scale: float, seed: int) -> list[Person]:
    """Return the generated people, in the order of train.csv."""
    rng = np.random.default_rng(seed)
    groups: dict[tuple[str, int], list[Path]] = {}
    for folder in sorted((source / "train/images").iterdir()):
        if folder.is_dir():
            person = parse_folder(folder.name)
            gender = tuple(PEOPLE)[person.gender]
            age_group = int(person.age >= 30) + int(person.age >= 60)
            groups.setdefault((gender, age_group), []).append(folder)
    cells = [
        (gender, group)
        for gender, counts in PEOPLE.items()
        for group, count in enumerate(counts)
        for _ in range(max(1, round(count * scale)))
    ]
    order = rng.permutation(len(cells))
    suffixed = set(rng.choice(TWICE, round(SUFFIXED_IDS * scale), replace=False).tolist())
    result = []
    for position, cell in enumerate(order.tolist()):
        gender, group = cells[cell]
        candidates = groups.get((gender, group)) or [f for fs in groups.values() for f in fs]
        age = int(rng.integers(AGES[group][0], AGES[group][1] + 1))
        number = 2 * (position - int(position == TWICE + 1)) + 1  # ids leave gaps there too
        ident = f"{number:06d}" + (f"-{1 + position % 2}" if position in suffixed else "")
        chosen = candidates[int(rng.integers(len(candidates)))]
        result.append(Person(f"{ident}_{gender}_Asian_{age}", chosen, position))
    return result


def vary(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a variation of a photo: cropped, mirrored, relit, in the competition's size."""
    width, height = photo.size
    left, top, right, bottom = rng.uniform(0, 0.06, 4)
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    photo = photo.crop(tuple(round(v) for v in box)).resize(SIZE, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        photo = ImageOps.mirror(photo)
    photo = ImageEnhance.Brightness(photo).enhance(rng.uniform(0.8, 1.2))
    return ImageEnhance.Contrast(photo).enhance(rng.uniform(0.85, 1.15))


def encode(photo: Image.Image, suffix: str, rng: np.random.Generator) -> bytes:
    """Return the photo's file: PNG, or JPEG of a random quality."""
    out = io.BytesIO()
    if suffix == ".png":
        photo.save(out, "PNG", compress_level=1)
    else:
        photo.save(out, "JPEG", quality=int(rng.integers(75, 96)))
    return out.getvalue()


def source_photos(folder: Path) -> dict[str, Path]:
    """Return the photos of one person by their stem."""
    return {path.stem: path for path in sorted(folder.iterdir()) if path.stem in STEMS}


def write_person(images: Path, seed: int, person: Person) -> None:
    """Write the seven photos of one person, and a junk file as macOS leaves it for some."""
    folder = images / person.folder
    folder.mkdir(parents=True, exist_ok=True)
    photos = source_photos(person.source)
    rng = np.random.default_rng([seed, 1, person.seed])
    look = int(rng.integers(2**31))
    suffix = SUFFIXES[int(rng.choice(len(SUFFIXES), p=SUFFIX_SHARES))]
    for stem in STEMS:
        with Image.open(photos[stem]) as photo:
            varied = vary(photo.convert("RGB"), np.random.default_rng([look, STEMS.index(stem)]))
        name = stem + (suffix if rng.random() < 0.97 else ".jpg")
        (folder / name).write_bytes(encode(varied, Path(name).suffix, rng))
    if person.seed % 100 == 0:
        (folder / "._normal.jpg").write_bytes(b"\0\5\x16\7")


def write_eval_photo(images: Path, seed: int, item: tuple[int, str, Path]) -> None:
    """Write one evaluation photo."""
    number, name, source = item
    rng = np.random.default_rng([seed, 2, number])
    with Image.open(source) as photo:
        (images / name).write_bytes(encode(vary(photo.convert("RGB"), rng), ".jpg", rng))


def eval_items(sources: list[Path], count: int, seed: int) -> Iterator[tuple[int, str, Path]]:
    """Yield number, file name and source of each evaluation photo; names are random, as there."""
    rng = np.random.default_rng([seed, 3])
    for number in range(count):
        name = rng.bytes(20).hex() + ".jpg"
        yield number, name, sources[int(rng.integers(len(sources)))]


def generate(out: Path, source: Path, scale: float = 1.0, seed: int = 18) -> tuple[int, int]:
    """Write the data set; return how many people and evaluation photos it has.

    Args:
        out: a folder that does not exist yet.
        source: a data set in the same layout, e.g. data/demo.
        scale: share of the competition's size, above 0.
        seed: another seed gives other files.

    Raises:
        UserError: `out` exists, or `source` has no complete person.
    """
    if out.exists():
        raise UserError(f"{out} exists; remove it or name a new folder")
    everyone = people(source, scale, seed)
    if any(len(source_photos(person.source)) < len(STEMS) for person in everyone):
        raise UserError(f"{source}/train/images: every person needs {', '.join(STEMS)}")
    sources = [p for person in everyone for p in source_photos(person.source).values()]
    items = list(eval_items(sources, max(1, round(EVAL_PHOTOS * scale)), seed))
    train, evaluation = out / "train", out / "eval"
    (train / "images").mkdir(parents=True)
    (evaluation / "images").mkdir(parents=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        write = partial(write_person, train / "images", seed)
        list(pool.map(write, everyone, chunksize=8))
        write = partial(write_eval_photo, evaluation / "images", seed)
        list(pool.map(write, items, chunksize=64))
    rows = [",".join([*person.folder.split("_"), person.folder]) for person in everyone]
    (train / "train.csv").write_text("\n".join(["id,gender,race,age,path", *rows]) + "\n")
    names = [f"{name},0" for _, name, _ in items]
    (evaluation / "info.csv").write_text("\n".join(["ImageID,ans", *names]) + "\n")
    return len(everyone), len(items)


@cli_errors
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="folder to write, new")
    parser.add_argument("--source", type=Path, default=Path("data/demo"), help="data set to vary")
    parser.add_argument("--scale", type=float, default=1.0, help="share of 2,700 people (1)")
    parser.add_argument("--seed", type=int, default=18)
    args = parser.parse_args(argv)
    if not args.scale > 0:
        raise UserError(f"--scale {args.scale} must be more than 0")
    count, photos = generate(args.out, args.source, args.scale, args.seed)
    print(f"{args.out}: {count} people, {photos} evaluation photos")


if __name__ == "__main__":
    sys.exit(main())
