"""What a killed run leaves for the next one: the pieces of work that it finished."""

import json
from pathlib import Path

from portrait18.files import whole


def read(path: Path) -> tuple[object, list]:
    """The fingerprint and the pieces that a journal holds, (None, []) where there is none.

    What a kill cut off, or a power cut left unreadable, ends the list: it costs those pieces, not the run.
    """
    lines = []
    if path.exists():
        for line in path.read_text(errors="replace").split("\n")[:-1]:
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
    return (lines[0], lines[1:]) if lines else (None, [])


class Journal:
    """Pieces of work already done, a line of JSON each, so that a killed run goes on where it stopped.

    Args:
        path: the file; it appears, with its folder, if it is not there.
        fingerprint: of all that the work depends on, any JSON value; pieces done for another are thrown away.
    """

    def __init__(self, path: Path, fingerprint: object):
        self.path = path
        fingerprint = json.loads(json.dumps(fingerprint))  # as it will be read: tuples come back as lists
        found, pieces = read(path)
        self.pieces = pieces if found == fingerprint else []
        # Whole lines only: what comes next must not be written behind half a one.
        with whole(path) as aside:
            aside.write_text("".join(json.dumps(line) + "\n" for line in (fingerprint, *self.pieces)))

    def add(self, piece: object) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps(piece) + "\n")
        self.pieces.append(piece)
