"""An object whose unpickling runs code, to plant where only data are expected."""

from pathlib import Path


class Planted:
    """Unpickled, it writes a file: what a stranger's pickle could do to anything."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "code ran")
