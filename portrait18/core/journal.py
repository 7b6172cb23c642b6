"""What a killed run leaves for the next one: the pieces of work that it finished."""

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
    """The fingerprint and the pieces that a journal holds, (None, []) where there is none.

    What a kill cut off ends the list; so does a line that is not as it was written, which is said.
    """
    if not path.exists():
        return None, []
    *lines, _ = path.read_text(errors="replace").split("\n")
    good = list(itertools.takewhile(lambda line: _signed(line.rpartition(" ")[0]) == line, lines))
    if len(good) < len(lines):
        print(
            f"{path} is damaged; what it holds from line {len(good) + 1} on is done again",
            flush=True,
        )
    entries = [json.loads(line.rpartition(" ")[0]) for line in good]
    return (entries[0], entries[1:]) if entries else (None, [])


class Journal:
    """Pieces of work already done, a line of JSON each, so that a killed run goes on where it stopped.

    Args:
        path: the file; it appears, with its folder, if it is not there.
        fingerprint: of all that the work depends on, any JSON value; pieces done for another are thrown away.
    """

    def __init__(self, path: Path, fingerprint: object):
        self.path = path
        fingerprint = json.loads(
            json.dumps(fingerprint)
        )  # as it will be read: tuples come back as lists
        found, pieces = read(path)
        self.pieces = pieces if found == fingerprint else []
        # Whole lines only: what comes next must not be written behind half a one.
        with atomic_write(path) as tmp_path:
            tmp_path.write_text("".join(map(_line, (fingerprint, *self.pieces))))

    def add(self, piece: object) -> None:
        with open(self.path, "a") as file:
            file.write(_line(piece))
        self.pieces.append(piece)
