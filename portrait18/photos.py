"""Reading portraits from disk: one decoder for every photo, and the inventory of a data set's two folders.

The competition's layout:

    ROOT/train/train.csv                id,gender,race,age,path
    ROOT/train/images/<path>/           path = <id>_<gender>_<race>_<age>; seven photos, named by mask state
    ROOT/eval/info.csv                  ImageID,ans
    ROOT/eval/images/<ImageID>
"""

import hashlib
import io
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from portrait18.classes import GENDER, STATES
from portrait18.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png")
MIN_SIDE = 20  # pixels: MTCNN fails on less
FOLDER = re.compile(r"(?P<id>[^_/\\]+)_(?P<gender>male|female)_(?P<race>[^_/\\]*)_(?P<age>\d{1,3})")


class BadPhoto(ValueError):
    """A file that is no photo this project can use; the message says why and what would do."""


def decode(data: bytes, max_pixels: int = 50_000_000) -> np.ndarray:
    """Decode one photo.

    Args:
        data: the file's bytes: JPEG, PNG or whatever else Pillow reads; of an animation the first frame.
        max_pixels: refuse larger photos by their header, before any memory is taken (decompression bombs).

    Returns:
        uint8 (H, W, 3), RGB, upright (EXIF orientation applied), 16-bit scaled to 8, transparency on black.

    Raises:
        BadPhoto: not decodable, truncated, too large or too small.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # Pillow's own size warning: the limit here is ours
            width, height = image.size
            if width * height > max_pixels:
                raise BadPhoto(
                    f"has {width}x{height} px, at most {max_pixels} px are allowed; make it smaller or raise check.max_pixels"
                )
            if min(width, height) < MIN_SIDE:
                raise BadPhoto(f"has {width}x{height} px, each side must have at least {MIN_SIDE}; use a larger photo")
            if image.mode.startswith("I"):  # Pillow clips 16 bits to 8 where one expects scaling
                return np.repeat((np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except BadPhoto:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        reason = str(error).replace("\n", " ")
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image"
        raise BadPhoto(f"cannot be decoded ({reason}); replace the file") from None


def read(path: str | Path, max_pixels: int = 50_000_000) -> np.ndarray:
    """Read one photo file; see `decode`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadPhoto(f"cannot be read ({error.strerror}); check the file and its rights") from None
    return decode(data, max_pixels)


def _probe(path: Path, max_pixels: int) -> tuple[int, int, str, str]:
    """(width, height, digest of the bytes, "") of a good photo, (0, 0, "", reason) of a bad one."""
    try:
        data = path.read_bytes()
        height, width, _ = decode(data, max_pixels).shape
    except FileNotFoundError:
        return 0, 0, "", "is missing; put it there"
    except OSError as error:
        return 0, 0, "", f"cannot be read ({error.strerror}); check the file and its rights"
    except BadPhoto as error:
        return 0, 0, "", str(error)
    return width, height, hashlib.blake2b(data, digest_size=8).hexdigest(), ""


def probe(table: pd.DataFrame, images: Path, max_pixels: int) -> tuple[pd.DataFrame, list[str]]:
    """Decode every photo of `table.photo` once and add `width`, `height` (0 if bad) and `digest`.

    Returns the table and one line for each bad photo.
    """
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter lock
        found = list(pool.map(lambda name: _probe(images / name, max_pixels), table.photo))
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    table = table.assign(width=columns[0], height=columns[1], digest=columns[2])
    return table, [f"{images / name} {reason}" for name, reason in zip(table.photo, columns[3], strict=True) if reason]


def parse_folder(name: str) -> dict:
    """`000001_female_Asian_45` -> `{"id": "000001", "gender": 1, "race": "Asian", "age": 45}`; ValueError if it does not parse."""
    match = FOLDER.fullmatch(name)
    if not match:
        raise ValueError(
            f"folder name {name!r} does not parse; expected <id>_<male|female>_<race>_<age>, e.g. 000001_female_Asian_45"
        )
    return {
        "id": match["id"],
        "gender": GENDER.classes.index(match["gender"]),
        "race": match["race"],
        "age": int(match["age"]),
    }


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeError) as error:
        raise UserError(
            f"{path} is not a readable CSV ({str(error).strip()}); save it as UTF-8 with a header line {','.join(columns)}"
        ) from None
    missing = [c for c in columns if c not in table]
    if missing:
        raise UserError(f"{path} has columns {list(table.columns)}, {missing} missing; expected {','.join(columns)}")
    return table


def require_layout(root: Path) -> None:
    """Raise one `UserError` that lists every file and folder of the layout that is not under `root`."""
    wanted = [root / p for p in ("train/train.csv", "train/images", "eval/info.csv", "eval/images")]
    missing = [p for p in wanted if not p.exists()]
    if missing:
        raise UserError(
            [
                f"{p} is missing; put the data there (a link will do) or point data.root at the folder that holds train/ and eval/"
                for p in missing
            ]
        )


def list_train(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """List the training photos and hold folders against train.csv.

    Returns:
        A table (photo, folder, person, gender, age, mask; sorted by photo) of what is sound, and
        a line for each thing that is not.
    """
    images = root / "train/images"
    rows, problems, folders = [], [], {}
    for folder in sorted(images.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            if not folder.name.startswith("."):
                problems.append(f"{folder} is not a folder; train/images holds one folder for each person")
            continue
        try:
            who = parse_folder(folder.name)
        except ValueError as error:
            problems.append(f"{folder}: {error}")
            continue
        folders[folder.name] = who
        seen: dict[str, str] = {}
        for file in sorted(folder.iterdir()):
            if file.name.startswith(".") or file.name == "Thumbs.db":  # ._* and the like are left by file managers
                continue
            if file.stem not in STATES or file.suffix.lower() not in EXTENSIONS:
                problems.append(
                    f"{file} is not a known photo; names are {', '.join(STATES)} with {', '.join(EXTENSIONS)}"
                )
            elif file.stem in seen:
                problems.append(f"{file} stands beside {seen[file.stem]}; keep one photo for each state")
            else:
                seen[file.stem] = file.name
                rows.append(
                    (f"{folder.name}/{file.name}", folder.name, who["id"], who["gender"], who["age"], STATES[file.stem])
                )
        problems += [
            f"{folder}/{state}.jpg is missing; each person needs {', '.join(STATES)}"
            for state in STATES
            if state not in seen
        ]
    problems += _compare(root / "train/train.csv", folders)
    table = pd.DataFrame(rows, columns=["photo", "folder", "person", "gender", "age", "mask"])
    return table.sort_values("photo", ignore_index=True), problems


def _compare(path: Path, folders: dict[str, dict]) -> list[str]:
    """Lines for each row of train.csv that disagrees with the folders, both ways."""
    listed = _read_csv(path, ["id", "gender", "race", "age", "path"])
    problems = []
    for row in listed.itertuples():
        line = f"{path} line {row.Index + 2}"
        if row.path not in folders:
            problems.append(f"{line}: no folder train/images/{row.path}; add the folder or delete the row")
        elif f"{row.id}_{row.gender}_{row.race}_{row.age}" != row.path:
            problems.append(
                f"{line}: {row.id},{row.gender},{row.race},{row.age} disagrees with its path {row.path}; correct one of the two"
            )
    problems += [
        f"{path} line {i + 2}: path {p} is listed twice; delete one row"
        for i, p in listed.path[listed.path.duplicated()].items()
    ]
    problems += [
        f"{path}: no row for folder {name}; add the row or delete the folder"
        for name in folders
        if name not in set(listed.path)
    ]
    return problems


def list_eval(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """List the photos to label, in the order of info.csv.

    Returns:
        A table (photo), lines for what makes info.csv unusable, and lines for photos that it does not list.
    """
    path = root / "eval/info.csv"
    listed = _read_csv(path, ["ImageID"]).ImageID
    problems = [
        f"{path} line {i + 2}: ImageID {name!r} must be a plain file name; correct the row"
        for i, name in listed.items()
        if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name
    ]
    problems += [
        f"{path} line {i + 2}: ImageID {name} is listed twice; delete one row"
        for i, name in listed[listed.duplicated()].items()
    ]
    known = set(listed)
    extra = sorted(
        f.name for f in (root / "eval/images").iterdir() if not f.name.startswith(".") and f.name not in known
    )
    return (
        pd.DataFrame({"photo": listed}),
        problems,
        [f"{root / 'eval/images' / name} is not in info.csv; it gets no row" for name in extra],
    )
