"""An object that runs code when it is unpickled, to be planted where only data is expected."""

from pathlib import Path


class Planted:
    """Writes a file when it is unpickled, as an example of what a foreign pickle could do."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "code ran")
