"""Decoded photos on disk, until the box of their crop is known.

A photo without a face gets the median box of other photos, which is known after the last photo.
The spool keeps its pixels, so that it need not be decoded a second time.
"""

import os
import shutil
from pathlib import Path

import numpy as np

#: Disk space for all spooled photos together. Further photos are decoded again.
MAX_BYTES = 2 * 2**30


class PixelSpool:
    """A folder of decoded photos.

    It is a cache: a photo may be missing, because the space ran out or a run was killed.

    Args:
        folder: created when the first photo is saved.
        share: share (0 to 1) of the free space that this process may use.
    """

    def __init__(self, folder: Path, share: float = 1.0):
        self.folder = folder
        used = sum(path.stat().st_size for path in folder.glob("*.npz"))
        free = shutil.disk_usage(folder.parent).free
        # Half of the free disk stays for the outputs of the stage.
        self.left = share * min(MAX_BYTES - used, free // 2)

    def save(self, key: str, photo: np.ndarray) -> None:
        """Save a photo, if there is space.

        Args:
            key: identifies the photo's content; a valid file name.
            photo: uint8 (H, W, 3).
        """
        path = self.folder / f"{key}.npz"
        if photo.nbytes > self.left or path.exists():
            return
        self.left -= photo.nbytes
        tmp_path = self.folder / f".{key}.{os.getpid()}-{id(photo)}.tmp"
        try:
            self.folder.mkdir(exist_ok=True)
            with open(tmp_path, "wb") as file:
                np.savez(file, photo=photo)  # a zip file: it has a checksum
            os.replace(tmp_path, path)
        except OSError:
            self.left = 0
            tmp_path.unlink(missing_ok=True)

    def load(self, key: str, height: int, width: int) -> np.ndarray | None:
        """Return a saved photo, or None if it is missing or damaged.

        Args:
            key: see `save`.
            height: of the photo in pixels.
            width: of the photo in pixels.
        """
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as file:
                photo = file["photo"]
        except Exception:  # damaged zip files raise half a dozen kinds
            return None
        valid = photo.dtype == np.uint8 and photo.shape == (height, width, 3)
        return photo if valid else None

    def clear(self) -> None:
        """Delete all saved photos."""
        shutil.rmtree(self.folder, ignore_errors=True)
