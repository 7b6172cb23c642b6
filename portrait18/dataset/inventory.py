"""Lists of photos: the folders of a data set, compared with its CSV files.

`portrait18.dataset.layout` describes the layout.
"""

import unicodedata
from pathlib import Path

import pandas as pd

from portrait18.core.errors import UserError
from portrait18.dataset import tables
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.layout import (
    EXTENSIONS,
    is_junk,
    is_person_folder,
    is_plain_name,
    parse_folder,
)


def shared_ids(main: pd.DataFrame, extra: pd.DataFrame) -> list[str]:
    """Return a line for each extra person whose id also belongs to a person of the main data.

    Such a person could be in the validation set and in the training set at once.
    """
    known = set(main.person)
    return [
        f"{row.images}/{row.folder}: id {row.person} also belongs to one of the main people;"
        " rename it, or one person could be in training and validation"
        for row in extra.drop_duplicates("folder").itertuples()
        if row.person in known
    ]


def duplicates(train: pd.DataFrame) -> list[str]:
    """Return a line for each photo file that occurs under two ids or two mask states.

    One of the two is wrong. With two ids, a fold could also train on a validation photo.
    """
    first: dict[str, dict] = {}
    lines = []
    for row in train[train.width > 0].to_dict("records"):
        other = first.setdefault(row["digest"], row)
        if other["person"] != row["person"]:
            difference = "id"
        elif other["mask"] != row["mask"]:
            difference = "mask state"
        else:
            continue
        lines.append(
            f"{row['images']}/{row['photo']} is the same file as {other['photo']}, which has"
            f" another {difference}; one of the two is wrong"
        )
    return lines


def _is_ignored(path: Path) -> bool:
    return is_junk(path) or path.name.startswith(".")


def list_train(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """List the training photos and compare the folders with train.csv.

    Args:
        root: folder that holds train/.

    Returns:
        A table (photo, folder, person, gender, age, mask; sorted by photo) of the valid photos,
        and a line for each problem.
    """
    images = root / "train/images"
    rows: list[tuple] = []
    problems: list[str] = []
    folders = sorted(path for path in images.iterdir() if not _is_ignored(path))
    invalid, mismatches = _compare(root / "train/train.csv", {path.name for path in folders})
    for folder in folders:
        if not folder.is_dir():
            problems.append(
                f"{folder} is not a folder; train/images holds one folder for each person"
            )
            continue
        try:
            person = parse_folder(folder.name)
        except ValueError as error:
            problems.append(f"{folder}: {error}")
            continue
        file_names = _list_folder(folder, problems)
        if folder.name not in invalid:
            rows += [
                (
                    f"{folder.name}/{name}",
                    folder.name,
                    person.id,
                    person.gender,
                    person.age,
                    MASK_BY_STEM[stem],
                )
                for stem, name in file_names.items()
            ]
    table = pd.DataFrame(rows, columns=["photo", "folder", "person", "gender", "age", "mask"])
    return table.sort_values("photo", ignore_index=True), problems + mismatches


def _list_folder(folder: Path, problems: list[str]) -> dict[str, str]:
    """Return file stem -> file name of one person's photos.

    Args:
        folder: folder of one person.
        problems: receives a line for each unknown, duplicate or missing photo.
    """
    file_names: dict[str, str] = {}
    for file in sorted(path for path in folder.iterdir() if not _is_ignored(path)):
        if file.stem not in MASK_BY_STEM or file.suffix.lower() not in EXTENSIONS:
            known = f"{', '.join(MASK_BY_STEM)} with {', '.join(EXTENSIONS)}"
            problems.append(f"{file} is not a known photo; names are {known}")
        elif file.stem in file_names:
            problems.append(
                f"{file} has the same stem as {file_names[file.stem]}; keep one of the two"
            )
        else:
            file_names[file.stem] = file.name
    problems += [
        f"{folder}/{stem}.jpg is missing; each person needs {', '.join(MASK_BY_STEM)}"
        for stem in MASK_BY_STEM
        if stem not in file_names
    ]
    return file_names


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _compare(path: Path, folders: set[str]) -> tuple[set[str], list[str]]:
    """Compare train.csv with the names of the folders in both directions.

    Returns:
        Names of the folders that disagree with train.csv, and a line for each problem.
    """
    listed = tables.read_user_csv(path, ["id", "gender", "race", "age", "path"])
    # Folders from macOS can be in Unicode's form NFD. An exact match counts first.
    actual = {_nfc(name): name for name in folders}
    listed["path"] = [p if p in folders else actual.get(_nfc(p), p) for p in listed.path]
    invalid, problems = set(), []
    for number, row in zip(listed.index, listed.to_dict("records"), strict=True):
        line, name = f"{path} line {number}", row["path"]
        cells = [row[column] for column in ("id", "gender", "race", "age")]
        if not is_plain_name(name):
            problems.append(
                f"{line}: path {name!r} must be the name of a folder in train/images;"
                " correct the row"
            )
        elif name not in folders:
            problems.append(
                f"{line}: no folder train/images/{name}; add the folder or delete the row"
            )
        elif _nfc("_".join(cells)) != _nfc(name):
            invalid.add(name)
            problems.append(
                f"{line}: {','.join(cells)} disagrees with its path {name}; correct one of the two"
            )
    repeated = listed.path[listed.path.duplicated()]
    problems += [
        f"{path} line {i}: path {name} is listed twice; delete one row"
        for i, name in repeated.items()
    ]
    unlisted = sorted(name for name in folders - set(listed.path) if is_person_folder(name))
    problems += [
        f"{path}: no row for folder {name}; add the row or delete the folder" for name in unlisted
    ]
    return invalid | set(unlisted), problems


def list_eval(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """List the evaluation photos in the order of info.csv.

    Args:
        root: folder that holds eval/.

    Returns:
        A table (photo), a line for each error in info.csv, and a line for each photo that
        info.csv does not list.
    """
    path = root / "eval/info.csv"
    listed = tables.read_user_csv(path, ["ImageID"]).ImageID
    problems = [
        f"{path} line {i}: ImageID {name!r} must be a plain file name; correct the row"
        for i, name in listed.items()
        if not is_plain_name(name)
    ]
    if listed.empty:
        problems.append(f"{path} lists no photo; add a row for each evaluation photo")
    problems += [
        f"{path} line {i}: ImageID {name} is listed twice; delete one row"
        for i, name in listed[listed.duplicated()].items()
    ]
    known = {_nfc(name) for name in listed}
    unlisted = sorted(
        f.name
        for f in (root / "eval/images").iterdir()
        if not is_junk(f) and not f.name.startswith(".") and _nfc(f.name) not in known
    )
    return (
        pd.DataFrame({"photo": listed.tolist()}),
        problems,
        [f"{root / 'eval/images' / name} is not in info.csv; it gets no row" for name in unlisted],
    )


def read_column(info: Path, column: str) -> dict[str, str]:
    """Return the cells of a column of info.csv that holds persons, by ImageID.

    Args:
        info: info.csv of the evaluation set.
        column: name of the column, `group.column`.

    Raises:
        UserError: no such column, or one that holds no persons.
    """
    table = tables.read_user_csv(info, ["ImageID"])
    usable = [c for c in table.columns.tolist() if c not in ("ImageID", "ans")]
    if column not in usable:
        known = f"has {', '.join(usable)}" if usable else "has no column but ImageID and ans"
        raise UserError(
            f"params.yaml: group.column = {column!r} is not a column of persons; {info} {known};"
            " name one that holds a person in each row, or set group.by to none"
        )
    return dict(zip(table.ImageID[::-1], table[column].str.strip()[::-1], strict=True))
