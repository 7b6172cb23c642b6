"""Journals: finished pieces of work that a killed run leaves for the next one."""

import hashlib
import itertools
import json
from pathlib import Path

from portrait18.core.files import atomic_write


def _line(entry: object) -> str:
    return _signed(json.dumps(entry)) + "\n"


def _signed(text: str) -> str:
    return f"{text} {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def read(path: Path) -> tuple[object, list]:
    """Return the fingerprint and the pieces of a journal, or (None, []) if there is none.

    The pieces end at the first line that is cut off or whose checksum is wrong; the latter is
    reported.
    """
    if not path.exists():
        return None, []
    *lines, _ = path.read_text(errors="replace").split("\n")
    intact = list(itertools.takewhile(lambda line: _signed(line.rpartition(" ")[0]) == line, lines))
    if len(intact) < len(lines):
        print(f"{path} is damaged; redoing the work from its line {len(intact) + 1} on", flush=True)
    entries = [json.loads(line.rpartition(" ")[0]) for line in intact]
    return (entries[0], entries[1:]) if entries else (None, [])


class Journal:
    """Finished pieces of work, a line of JSON each, from which a killed run resumes.

    Args:
        path: the file; created with its folder if missing.
        fingerprint: JSON value of everything that the work depends on. Pieces of a journal with
            another fingerprint are discarded.

    Attributes:
        pieces: the finished pieces.
    """

    def __init__(self, path: Path, fingerprint: object):
        self.path = path
        self._fingerprint = json.loads(json.dumps(fingerprint))  # as it is read back, with lists
        found, pieces = read(path)
        self.pieces = pieces if found == self._fingerprint else []
        # Rewrite the intact lines only: the next piece must not follow half a line.
        self.truncate(len(self.pieces))

    def truncate(self, count: int) -> None:
        """Keep the first `count` pieces only."""
        self.pieces = self.pieces[:count]
        with atomic_write(self.path) as tmp_path:
            tmp_path.write_text("".join(map(_line, (self._fingerprint, *self.pieces))))

    def add(self, piece: object) -> None:
        """Append a piece."""
        with open(self.path, "a") as file:
            file.write(_line(piece))
        self.pieces.append(piece)
