"""Expand files, folders and patterns to photos, and read many photos in little memory."""

import glob
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

from portrait18.core.errors import UserError
from portrait18.dataset import photos as photo_files
from portrait18.dataset.formats import PICTURE_SUFFIXES, SUFFIXES, is_picture, is_raw
from portrait18.dataset.layout import is_junk
from portrait18.dataset.omissions import junk_note
from portrait18.dataset.photos import DecodedPhoto, PhotoError

#: A chunk ends at this many photos, or this many pixels (3 bytes each).
CHUNK, CHUNK_PIXELS = 32, 64_000_000
AHEAD = 4  # photos decoded ahead of the current chunk
#: A path with the decoded photo, or the reason why it cannot be decoded.
ReadPhoto: TypeAlias = tuple[Path, DecodedPhoto | PhotoError]


class Listing(NamedTuple):
    """What the arguments of a command name.

    Attributes:
        photos: each once, in the order of the arguments. Photos of formats that cannot be read are
            included: reading them gives the reason.
        notes: a line for each kind of file that is left out.
        is_partial: whether a folder could not be searched.
    """

    photos: list[Path]
    notes: list[str]
    is_partial: bool


class _Collector:
    """Collects photos, and what is left out."""

    def __init__(self) -> None:
        self.photos: dict[Path, None] = {}
        self.hidden: list[Path] = []
        self.others: list[Path] = []
        self.skipped_folders: list[str] = []
        self.repeated_folders: list[str] = []
        self.junk = 0
        self._seen: set[tuple[int, int]] = set()

    def add_folder(self, folder: Path) -> None:
        """Add the photos of a folder and its subfolders, then of linked folders, sorted."""
        found: list[Path] = []
        self._seen.clear()
        queue = deque([folder])
        while queue:
            path = queue.popleft()
            links: list[Path] = []
            self._walk(path, found, links)
            queue.extend(links)
        self.photos.update(dict.fromkeys(sorted(found)))

    def _walk(self, folder: Path, found: list[Path], links: list[Path]) -> None:
        try:
            status = folder.stat()
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.skipped_folders.append(f"{folder} cannot be searched ({error.strerror})")
            return
        if (status.st_dev, status.st_ino) in self._seen:
            self.repeated_folders.append(
                f"{folder} is a link to a folder that is searched already; it is left out"
            )
            return
        self._seen.add((status.st_dev, status.st_ino))
        for path in entries:
            if is_junk(path):
                self.junk += 1
            elif path.name.startswith("."):
                self.hidden.append(path)
            elif path.is_dir():
                if path.is_symlink():
                    links.append(path)  # after all that is no link, whose paths are preferred
                else:
                    self._walk(path, found, links)
            elif _is_photo(path):
                found.append(path)
            else:
                self.others.append(path)

    def add_matches(self, pattern: str) -> None:
        """Add the files that match a pattern."""
        visible = set(glob.glob(pattern, recursive=True))
        for name in sorted(glob.glob(pattern, recursive=True, include_hidden=True)):
            path = Path(name)
            if is_junk(path):
                self.junk += 1
            elif path.is_dir():
                if not name.endswith("/") and "**" not in pattern:
                    self.skipped_folders.append(
                        f"{name} is a folder and {pattern} names its files only with /**"
                    )
            elif name not in visible:
                self.hidden.append(path)
            else:
                self.photos[path] = None

    def notes(self) -> list[str]:
        """Return a line for each kind of file that is left out."""
        lines = self.skipped_folders + self.repeated_folders
        for paths, reason in (
            (self.others, "are no photos by suffix and content and are left out"),
            (self.hidden, "are hidden and left out; name them to predict them"),
        ):
            if paths:
                counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
                kinds = ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common(5))
                lines.append(f"{len(paths)} files {reason} ({kinds}), such as {paths[0]}")
        return [*lines, junk_note(self.junk)] if self.junk else lines


def list_photos(names: Iterable[str]) -> Listing:
    """Return the photos that the arguments of a command name.

    Args:
        names: files, taken whatever their suffix; folders, searched for photos by suffix and
            content, including subfolders and linked folders, sorted; or patterns (`*`, `**`, `?`,
            `[...]`), sorted. Folders and patterns leave out files whose name begins with a dot.

    Raises:
        UserError: names without a photo, one line each.
    """
    collected, photos, problems = _Collector(), dict[Path, None](), []
    for name in names:
        path = Path(name)
        collected.photos = {}
        if not name:  # like an unset variable of a shell; Path takes it for the current folder
            problem = "an empty name; name a photo, a folder (. is this one) or a pattern"
        elif path.is_dir():
            collected.add_folder(path)
            problem = f"no photos in this folder; photos end in {', '.join(SUFFIXES)}"
        elif path.exists() or not glob.has_magic(name):
            collected.photos = {path: None} if path.exists() else {}
            problem = "no such file or folder; name a photo, a folder or a pattern"
            if "://" in name:
                problem = "addresses are not read; download the photo and name the file"
        else:
            collected.add_matches(name)
            problem = "no file matches this pattern; name a photo, a folder or another pattern"
        if not collected.photos:
            problems.append(f"{name or repr(name)}: {problem}")
        photos.update(collected.photos)
    if problems:
        raise UserError(problems)
    return Listing(list(photos), collected.notes(), bool(collected.skipped_folders))


def _is_photo(path: Path) -> bool:
    """Return whether a file is a photo by its suffix, else by its first bytes."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        if not path.is_file():  # reading a pipe may never end
            return False
        with open(path, "rb") as file:
            return is_picture(file.read(16))
    except OSError:
        return False


def read_in_chunks(paths: list[Path], max_pixels: int) -> Iterator[list[ReadPhoto]]:
    """Decode photos in threads and yield them in order, one chunk at a time.

    Args:
        paths: the photos.
        max_pixels: larger photos (width x height) are bad photos.
    """
    chunk: list[ReadPhoto] = []
    pixels = 0
    for path, photo in _decode_ahead(paths, max_pixels):
        area = 0 if isinstance(photo, PhotoError) else photo.pixels.shape[0] * photo.pixels.shape[1]
        if chunk and (len(chunk) == CHUNK or pixels + area > CHUNK_PIXELS):
            yield chunk
            chunk, pixels = [], 0
        chunk.append((path, photo))
        pixels += area
    if chunk:
        yield chunk


def _decode_ahead(paths: list[Path], max_pixels: int) -> Iterator[ReadPhoto]:
    def read(path: Path) -> DecodedPhoto | PhotoError:
        if is_raw(path.name):
            return PhotoError(
                "is raw data of a camera; develop it to JPEG, such as by darktable-cli"
            )
        try:
            return photo_files.read_photo(path, max_pixels)
        except PhotoError as error:
            return error

    with ThreadPoolExecutor(AHEAD) as pool:
        pending: deque[tuple[Path, Future[DecodedPhoto | PhotoError]]] = deque()
        for path in paths:
            pending.append((path, pool.submit(read, path)))
            if len(pending) > AHEAD:
                first, future = pending.popleft()
                yield first, future.result()
        for path, future in pending:
            yield path, future.result()
