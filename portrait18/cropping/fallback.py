"""Boxes for photos without a detected face."""

import numpy as np
import pandas as pd
import torch

from portrait18.core.data_params import CropParams
from portrait18.cropping import framing
from portrait18.cropping.faces import Face
from portrait18.cropping.processing import PhotoReader, make_record, thread_pool
from portrait18.cropping.reuse import Work
from portrait18.cropping.spool import PixelSpool
from portrait18.cropping.summary import UPRIGHT

GRAY = 127  # crop of a photo that cannot be decoded: the middle of the networks' input range
_NO_FACES = [[0.25, 0.25, 0.75, 0.75]]


class MedianBoxes:
    """Median box of each person and of the whole set, in shares of the photo's width and height.

    Args:
        records: `reuse.Work.rows` in the order of the inventory.
        inventory: columns width, height and, if persons are known, folder.
    """

    def __init__(self, records: list[list], inventory: pd.DataFrame):
        self.sizes = inventory[["width", "height"]].to_numpy(float)
        folders = inventory.folder.tolist() if "folder" in inventory else [None] * len(records)
        self.folders: list[str | None] = folders
        boxes: dict[str | None, list[list[float]]] = {}
        for folder, (width, height), (source, *face, _) in zip(
            folders, self.sizes, records, strict=True
        ):
            if source in UPRIGHT:
                x0, y0, x1, y1 = face[:4]
                box = [x0 / width, y0 / height, x1 / width, y1 / height]
                boxes.setdefault(folder, []).append(box)
        everyone = [box for same_folder in boxes.values() for box in same_folder]
        self.set_box = np.median(everyone or _NO_FACES, axis=0)
        boxes.pop(None, None)
        self.by_folder = {folder: np.median(same, axis=0) for folder, same in boxes.items()}

    def __call__(self, row: int) -> tuple[Face, str]:
        """Return the box for a photo in pixels and its source, `person` or `median`."""
        box = self.by_folder.get(self.folders[row])
        source = "median" if box is None else "person"
        width, height = self.sizes[row]
        corners = (self.set_box if box is None else box) * (width, height, width, height)
        x0, y0, x1, y1 = (round(float(value), 2) for value in corners)
        return Face(x0, y0, x1, y1, 0.0, 0.0), source


def fill_missing(
    work: Work, inventory: pd.DataFrame, params: CropParams, spool: PixelSpool
) -> list[list]:
    """Crop the photos without a face at the median box and return the records of all photos.

    Args:
        work: all processed photos; receives the missing pixels.
        inventory: see `builder.CropJob`.
        params: the `crop` section.
        spool: pixels of photos without a face; what it lacks is decoded again.
    """
    records = [work.rows[row] for row in range(len(inventory))]
    boxes, read = MedianBoxes(records, inventory), PhotoReader(inventory)

    def fill(row: int) -> list:
        if records[row][0] == "none":
            work.pixels[row] = GRAY
            return records[row]
        face, source = boxes(row)
        width, height = (int(side) for side in boxes.sizes[row])
        photo = spool.load(work.keys[row], height, width)
        if photo is None:
            photo = read(row)
        work.pixels[row] = framing.cut(photo, face, source, params)
        return make_record(source, face, photo)

    missing = [row for row, (source, *_) in enumerate(records) if source in ("", "none")]
    with thread_pool(torch.get_num_threads()) as pool:
        filled = dict(zip(missing, pool.map(fill, missing), strict=True))
    return [filled.get(row, record) for row, record in enumerate(records)]
