"""What a listing of a data set leaves out, so that nothing is left out without a word."""

import os
import sys
import unicodedata
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from portrait18.core.errors import printable
from portrait18.dataset.formats import JPEG_SUFFIXES, PICTURE_SUFFIXES
from portrait18.dataset.layout import EXTENSIONS, is_junk

_EXAMPLES = 5
_OF_GIT = (".gitkeep", ".gitignore")  # the author's own, so not worth a word


def junk_note(count: int) -> str:
    """Return a line for ignored files of file managers, or "" if there are none."""
    return f"{count} files of file managers ignored, such as .DS_Store or Thumbs.db" * bool(count)


def shorten(lines: list[str], where: str) -> list[str]:
    """Return at most a few lines and the number of the others."""
    more = len(lines) - _EXAMPLES
    return lines if more <= 0 else [*lines[:_EXAMPLES], f"{where}: and {more} more"]


def warn(folder: Path, left_out: list[Path]) -> None:
    """Print a line for the entries of a folder that an importer leaves out."""
    line = (
        f"warning: {folder}: {len(left_out)} entries are left out, because they do not end in"
        f" {', '.join(EXTENSIONS)}, such as {left_out[0].name}"
    )
    print(printable(line), file=sys.stderr)


def warn_unlisted(folder: Path, listed: Container[str], mark: str) -> None:
    """Print a line for the photos in and below a folder that an importer's table does not list.

    Args:
        folder: folder of the photos.
        listed: paths of the table, relative to the folder.
        mark: name of a file; subfolders that hold it are built by an importer, and not searched.
    """
    unlisted = [path for path in _photos_below(folder, mark) if path not in listed]
    if unlisted:
        line = (
            f"warning: {folder}: {len(unlisted)} photos are in no row of the labels and are left"
            f" out, such as {min(unlisted)}"
        )
        print(printable(line), file=sys.stderr)


def _photos_below(folder: Path, mark: str) -> Iterator[str]:
    """Yield the relative paths of photos by suffix; links to folders are followed."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen or mark in files:
            folders.clear()  # a loop of links, or the result of an import
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not is_junk(Path(name))]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in PICTURE_SUFFIXES and not is_junk(path):
                yield path.relative_to(folder).as_posix()


def omissions(images: Path, listed: Container[str] = ()) -> tuple[list[str], int]:
    """Return what a data set's folder holds besides listed photos.

    Args:
        images: folder of photos, or of folders of photos.
        listed: names that are not left out although they begin with a dot.

    Returns:
        A line for each other hidden file, a line for linked folders, and the number of files of
        file managers.
    """
    hidden, links, junk = [], [], 0
    for path in _two_levels(images):
        if is_junk(path):
            junk += path.name not in _OF_GIT
        elif path.name.startswith(".") and path.name not in listed:
            hidden.append(f"{path} is hidden and left out; rename or delete it")
        elif path.is_symlink() and path.is_dir():
            links.append(path)
    lines = shorten(hidden, str(images))
    if links:
        lines.append(
            f"{images} holds {len(links)} links to folders, such as {links[0].name}; DVC does not"
            " notice changes behind them: run dvc repro --force check after a change"
        )
    return lines, junk


def _two_levels(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not is_junk(path) and not path.name.startswith("."):
            yield from sorted(path.iterdir())


def _key(name: str) -> str:
    """Return the same text for names that differ in case, Unicode form or JPEG suffix only."""
    name = unicodedata.normalize("NFC", name).casefold()
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.jpg" if dot + suffix in JPEG_SUFFIXES else name


def similar_names(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return, for names that are not in a folder, the name of a file there that may be meant."""
    files = sorted(path.name for path in folder.iterdir())
    by_key, present = {_key(name): name for name in reversed(files)}, set(files)
    return {
        name: by_key[_key(name)] for name in names if name not in present and _key(name) in by_key
    }
