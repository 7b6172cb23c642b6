"""What photos there are: the two folders of a data set, held against their CSV files.

The competition's layout:

    ROOT/train/train.csv                id,gender,race,age,path
    ROOT/train/images/<path>/           path = <id>_<gender>_<race>_<age>; seven photos, named by mask state
    ROOT/eval/info.csv                  ImageID,ans
    ROOT/eval/images/<ImageID>
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.classes import GENDER, MASK_STATES
from portrait18.dataset.photos import BadPhoto, decode, file_bytes

CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # line breaks, escapes, bytes that are no UTF-8
EXTENSIONS = (".jpg", ".jpeg", ".png")
FOLDER = re.compile(r"(?P<id>[^_/\\]+)_(?P<gender>male|female)_(?P<race>[^_/\\]*)_(?P<age>\d{1,3})")


def plain(name: str) -> bool:
    """Whether this names something inside a folder: no path, which could lead out of it, and nothing unprintable."""
    return name not in ("", ".", "..") and not set(name) & set("/\\") and not CONTROLS.search(name)


def _probe(path: Path, max_pixels: int) -> tuple[int, int, str, str]:
    """(width, height, digest of the bytes, "") of a good photo, (0, 0, "", reason) of a bad one."""
    try:
        data = file_bytes(path, max_pixels)
        height, width, _ = decode(data, max_pixels).shape
    except BadPhoto as error:
        return 0, 0, "", str(error)
    return width, height, hashlib.blake2b(data, digest_size=8).hexdigest(), ""


def probe(table: pd.DataFrame, images: Path, max_pixels: int) -> tuple[pd.DataFrame, list[str]]:
    """Decode every photo of `table.photo` in `images` once and add `images`, `width`, `height` (0 if bad), `digest`.

    Returns the table and one line for each bad photo.
    """
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter lock
        found = list(pool.map(lambda name: _probe(images / name, max_pixels), table.photo))
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    table = table.assign(
        images=images.as_posix(), width=columns[0], height=columns[1], digest=columns[2]
    )
    return table, [
        f"{images / name} {reason}"
        for name, reason in zip(table.photo, columns[3], strict=True)
        if reason
    ]


def parse_folder(name: str) -> dict:
    """`000001_female_Asian_45` -> `{"id": "000001", "gender": 1, "race": "Asian", "age": 45}`; ValueError if it does not parse."""
    match = FOLDER.fullmatch(name)
    if not match or not plain(name):
        raise ValueError(
            f"folder name {name!r} does not parse; expected <id>_<male|female>_<race>_<age>, e.g. 000001_female_Asian_45"
        )
    return {
        "id": match["id"],
        "gender": GENDER.classes.index(match["gender"]),
        "race": match["race"],
        "age": int(match["age"]),
    }


def require_layout(root: Path, extra: Path) -> None:
    """Raise one `UserError` that lists every file and folder of the layout that is not there; `extra` has no eval/."""
    wanted = [
        (root / p, "root")
        for p in ("train/train.csv", "train/images", "eval/info.csv", "eval/images")
    ]
    wanted += [(extra / p, "extra") for p in ("train/train.csv", "train/images")]
    problems = [
        f"{path} is missing; put the data there (a link will do) or point data.{param} at the folder that holds train/"
        for path, param in wanted
        if not path.exists()
    ]
    if problems:
        raise UserError(problems)


def shared_ids(main: pd.DataFrame, extra: pd.DataFrame) -> list[str]:
    """A line for each extra person whose id the main people use: held out there, trained on here."""
    known = set(main.person)
    return [
        f"{row.images}/{row.folder}: id {row.person} is one of the main people's; rename it, or what is held out would be trained on"
        for row in extra.drop_duplicates("folder").itertuples()
        if row.person in known
    ]


def copies(train: pd.DataFrame) -> list[str]:
    """A line for each photo file that stands under two ids or two mask states: one of the two is wrong.

    Of two ids, one may be held out and the other trained on.
    """
    good = train[train.width > 0]
    first = good.drop_duplicates("digest").set_index("digest")
    lines = []
    for row in good.itertuples():
        same = first.loc[row.digest]
        what = (
            "id" if same.person != row.person else "mask state" if same["mask"] != row.mask else ""
        )
        if what:
            file = f"{row.images}/{row.photo}"
            lines.append(
                f"{file} is the same file as {same.photo}, of another {what}; one of the two is wrong"
            )
    return lines


def _junk(path: Path) -> bool:
    """Whether a file manager left it: `._*`, `.DS_Store`, `Thumbs.db`."""
    return path.name.startswith(".") or path.name == "Thumbs.db"


def list_train(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """List the training photos and hold folders against train.csv.

    Returns:
        A table (photo, folder, person, gender, age, mask; sorted by photo) of what is sound, and
        a line for each thing that is not.
    """
    images = root / "train/images"
    rows, problems = [], []
    folders = sorted(path for path in images.iterdir() if not _junk(path))
    unsound, disagreements = _compare(root / "train/train.csv", {path.name for path in folders})
    for folder in folders:
        if not folder.is_dir():
            problems.append(
                f"{folder} is not a folder; train/images holds one folder for each person"
            )
            continue
        try:
            who = parse_folder(folder.name)
        except ValueError as error:
            problems.append(f"{folder}: {error}")
            continue
        states = _list_folder(folder, problems)
        if folder.name not in unsound:
            facts = (folder.name, who["id"], who["gender"], who["age"])
            rows += [
                (f"{folder.name}/{name}", *facts, MASK_STATES[state])
                for state, name in states.items()
            ]
    table = pd.DataFrame(rows, columns=["photo", "folder", "person", "gender", "age", "mask"])
    return table.sort_values("photo", ignore_index=True), problems + disagreements


def _list_folder(folder: Path, problems: list[str]) -> dict[str, str]:
    """Mask state -> file name of one person's photos; a line for each that is strange, double or missing."""
    states: dict[str, str] = {}
    for file in sorted(path for path in folder.iterdir() if not _junk(path)):
        if file.stem not in MASK_STATES or file.suffix.lower() not in EXTENSIONS:
            known = f"{', '.join(MASK_STATES)} with {', '.join(EXTENSIONS)}"
            problems.append(f"{file} is not a known photo; names are {known}")
        elif file.stem in states:
            problems.append(
                f"{file} stands beside {states[file.stem]}; keep one photo for each state"
            )
        else:
            states[file.stem] = file.name
    missing = [state for state in MASK_STATES if state not in states]
    problems += [
        f"{folder}/{state}.jpg is missing; each person needs {', '.join(MASK_STATES)}"
        for state in missing
    ]
    return states


def _compare(path: Path, folders: set[str]) -> tuple[set[str], list[str]]:
    """Hold train.csv against the folders' names, both ways: names of those that disagree, a line for each fault."""
    listed = tables.read_text(path, ["id", "gender", "race", "age", "path"])
    unsound, problems = set(), []
    for row in listed.itertuples():
        line, told = f"{path} line {row.Index}", (row.id, row.gender, row.race, row.age)
        if not plain(row.path):
            problems.append(
                f"{line}: path {row.path!r} must be the name of a folder in train/images; correct the row"
            )
        elif row.path not in folders:
            problems.append(
                f"{line}: no folder train/images/{row.path}; add the folder or delete the row"
            )
        elif "_".join(told) != row.path:
            unsound.add(row.path)
            problems.append(
                f"{line}: {','.join(told)} disagrees with its path {row.path}; correct one of the two"
            )
    twice = listed.path[listed.path.duplicated()]
    problems += [
        f"{path} line {i}: path {name} is listed twice; delete one row" for i, name in twice.items()
    ]
    unlisted = sorted(
        name for name in folders - set(listed.path) if FOLDER.fullmatch(name) and plain(name)
    )
    problems += [
        f"{path}: no row for folder {name}; add the row or delete the folder" for name in unlisted
    ]
    return unsound | set(unlisted), problems


def list_eval(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """List the photos to label, in the order of info.csv.

    Returns:
        A table (photo), lines for what makes info.csv unusable, and lines for photos that it does not list.
    """
    path = root / "eval/info.csv"
    listed = tables.read_text(path, ["ImageID"]).ImageID
    problems = [
        f"{path} line {i}: ImageID {name!r} must be a plain file name; correct the row"
        for i, name in listed.items()
        if not plain(name)
    ]
    if listed.empty:
        problems.append(f"{path} lists no photo; give each photo to label a row")
    problems += [
        f"{path} line {i}: ImageID {name} is listed twice; delete one row"
        for i, name in listed[listed.duplicated()].items()
    ]
    known = set(listed)
    extra = sorted(
        f.name
        for f in (root / "eval/images").iterdir()
        if not f.name.startswith(".") and f.name not in known
    )
    return (
        pd.DataFrame({"photo": listed.tolist()}),
        problems,
        [f"{root / 'eval/images' / name} is not in info.csv; it gets no row" for name in extra],
    )
