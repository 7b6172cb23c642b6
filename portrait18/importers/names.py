"""Rename files to UTF-8 in Unicode's form NFC: python -m portrait18.importers.names FOLDER.

Zips from Korean Windows hold names in cp949. Unpacked elsewhere, these become bytes that are not
UTF-8, or symbols of cp437. Names from macOS can be in NFD, with letters split into their parts.
"""

import argparse
import os
import sys
import unicodedata
from pathlib import Path

from portrait18.core.errors import UserError, cli_errors, printable
from portrait18.core.files import path_argument

_HANGUL = ("\uac00", "\ud7a3")


def _is_utf8(name: str) -> bool:
    """Return whether a name is text; bytes that are not UTF-8 become lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def repaired(name: str, encoding: str = "cp949") -> str:
    """Return a file name as UTF-8 text in NFC; unchanged if it can't be read.

    Args:
        name: as `os.listdir` returns it; bytes that are not UTF-8 are lone surrogates.
        encoding: of names that are not UTF-8.
    """
    try:
        if not _is_utf8(name):
            name = os.fsencode(name).decode(encoding)
        elif not name.isascii():
            text = name.encode("cp437").decode("euc_kr")  # cp949 also accepts many other words
            other = [c for c in text if not c.isascii()]
            if all(_HANGUL[0] <= c <= _HANGUL[1] for c in other):
                name = text
    except UnicodeError:
        pass  # neither cp437 nor the given encoding
    return unicodedata.normalize("NFC", name)


def rename(folder: Path, encoding: str = "cp949") -> list[tuple[Path, Path]]:
    """Rename everything in a folder and its subfolders; return (old, new) of each.

    Raises:
        UserError: two names would become one. Nothing is renamed then.
    """
    found, problems = [], []
    for parent, folders, files in os.walk(folder, topdown=False):
        names = {name: repaired(name, encoding) for name in sorted((*folders, *files))}
        for old, new in names.items():
            if old != new:
                found.append((Path(parent, old), Path(parent, new)))
            if list(names.values()).count(new) > 1:
                problems.append(f"{Path(parent, old)} would become {new}, as another; remove one")
    if problems:
        raise UserError(problems)
    for source, target in found:
        source.rename(target)
    return found


def check_encoding(encoding: str) -> None:
    """Raise UserError if Python has no such encoding of text."""
    try:
        b"a".decode(encoding)
    except UnicodeError:
        return  # of two bytes a character
    except LookupError:
        raise UserError(
            f"--encoding {encoding} is unknown; name one of Python's, such as cp949, cp932 or gbk"
        ) from None


def unreadable(folder: Path, encoding: str) -> list[str]:
    """Return a line for each name in a folder and its subfolders that is still not UTF-8."""
    return [
        f"{Path(parent, name)} is neither UTF-8 nor {encoding}; name its encoding by --encoding, or"
        " rename it by hand"
        for parent, folders, files in os.walk(folder)
        for name in sorted((*folders, *files))
        if not _is_utf8(name)
    ]


@cli_errors
def main(argv: list[str]) -> None:
    """Rename and print each file; names that can't be read are errors."""
    parser = argparse.ArgumentParser(
        prog="python -m portrait18.importers.names", description="Rename files to UTF-8 in NFC."
    )
    parser.add_argument("folder", type=path_argument)
    parser.add_argument("--encoding", default="cp949", help="of names that are not UTF-8")
    arguments = parser.parse_args(argv)
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} is not a folder; name one")
    check_encoding(arguments.encoding)
    renamed = rename(arguments.folder, arguments.encoding)
    for source, target in renamed:
        print(printable(f"{source} -> {target.name}"))
    print(f"{len(renamed)} files and folders renamed")
    if problems := unreadable(arguments.folder, arguments.encoding):
        raise UserError(problems)


if __name__ == "__main__":
    main(sys.argv[1:])
