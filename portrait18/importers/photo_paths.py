"""Paths in a CSV, as other programs and machines write them, relative to the photos' folder."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from portrait18.core.errors import UserError
from portrait18.dataset import omissions
from portrait18.dataset.layout import is_plain_name

_DRIVE = re.compile(r"[A-Za-z]:/")
_TRIED = 1000  # absolute paths that are compared with the folder
# os.path.isfile is used here, because Path.is_file raises an error for names that are too long.


@dataclass
class Located:
    """Paths relative to the photos' folder.

    Attributes:
        paths: one for each cell; may be missing on the disk.
        faults: position -> what is wrong with a path.
        notes: lines on how the paths were read.
    """

    paths: list[str]
    faults: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def locate(cells: list[str], folder: Path, file: Path) -> Located:
    r"""Make the paths in a CSV relative to a folder.

    Backslashes become slashes, `./` is dropped. Absolute paths below the folder are shortened. Of
    others, such as `C:\faces\train\1.jpg` from another machine, the longest end that exists in the
    folder decides which beginning stands for the folder. If no path exists, but all would in one
    subfolder, that is added.

    Args:
        cells: paths as written.
        folder: folder with the photos.
        file: the CSV, for the error.

    Raises:
        UserError: No path exists, or they exist in more than one subfolder.
    """
    found = Located([_normalized(cell, folder) for cell in cells])
    _strip_root(found, folder)
    for i, path in enumerate(found.paths):
        if i not in found.faults and path and not all(map(is_plain_name, path.split("/"))):
            found.faults[i] = (
                f"path {cells[i]!r} must be in the photos' folder, relative to it, without ../;"
                " correct it"
            )
    good = [path for i, path in enumerate(found.paths) if path and i not in found.faults]
    if good and not any(os.path.isfile(folder / path) for path in good):
        _add_subfolder(found, good[0], folder, file)
    _suggest(found, folder)
    return found


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or bool(_DRIVE.match(path))


def _normalized(cell: str, folder: Path) -> str:
    text = cell if os.path.isfile(folder / cell) else cell.strip()
    path = text.replace("\\", "/")
    root = "/" if path.startswith("/") else ""
    return root + "/".join(part for part in path.split("/") if part not in ("", "."))


def _root_elsewhere(paths: list[str], folder: Path) -> str | None:
    """Return the beginning of absolute paths that stands for the folder, by a photo that exists."""
    for path in paths[:_TRIED]:
        parts = path.split("/")
        for start in range(1, len(parts)):
            end = parts[start:]
            if all(map(is_plain_name, end)) and os.path.isfile(folder.joinpath(*end)):
                return "/".join(parts[:start]) + "/"
    return None


def _strip_root(found: Located, folder: Path) -> None:
    roots = [f"{path.as_posix().rstrip('/')}/" for path in (folder.absolute(), folder.resolve())]
    elsewhere = [p for p in found.paths if _is_absolute(p) and not p.startswith(tuple(roots))]
    if root := _root_elsewhere(elsewhere, folder):
        roots.append(root)
        found.notes.append(f"{root} in the paths is read as {folder}/")
    for i, path in enumerate(found.paths):
        if _is_absolute(path):
            root = next((r for r in roots if path.lower().startswith(r.lower())), None)
            if root:
                found.paths[i] = path[len(root) :]
            else:
                found.faults[i] = (
                    f"path {path!r} is not in {folder}; make it relative to the photos' folder"
                )


def _add_subfolder(found: Located, example: str, folder: Path, file: Path) -> None:
    """Add the one subfolder that has the photos."""
    inside = sorted(path for path in folder.iterdir() if os.path.isfile(path / example))
    if len(inside) != 1:
        where = " or ".join(map(str, inside)) or f"the folder that holds {example}"
        raise UserError(
            f"{file}: no photo, such as {example}, is in {folder}; use {where} as FOLDER, with"
            f" --labels {file}"
        )
    found.paths = [f"{inside[0].name}/{path}" if path else path for path in found.paths]
    found.notes.append(f"the paths are read as relative to {inside[0]}")


def _suggest(found: Located, folder: Path) -> None:
    """Name files that missing paths may mean: other case, Unicode form or JPEG suffix."""
    by_parent: dict[Path, dict[str, int]] = {}
    for i, path in enumerate(found.paths):
        file = folder / path
        if (
            path
            and i not in found.faults
            and not os.path.exists(file)
            and os.path.isdir(file.parent)
        ):
            by_parent.setdefault(file.parent, {})[file.name] = i
    for parent, positions in by_parent.items():
        for name, other in omissions.similar_names(parent, positions).items():
            found.faults[positions[name]] = (
                f"path {found.paths[positions[name]]!r} is missing, but {other} is there; correct"
                " the path or rename the file"
            )
