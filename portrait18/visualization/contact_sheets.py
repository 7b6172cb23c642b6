"""Contact sheets: many small photos in one image, each with a caption."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from portrait18.core.files import atomic_write

MAX_PHOTOS = 48  # a person still looks at every photo of a sheet this large
_LINE_HEIGHT, _GAP = 16, 4  # pixels: a line of the caption; the space between tiles


class Layout(NamedTuple):
    """Geometry of a sheet.

    Attributes:
        columns: Photos per row.
        tile: Width and height of a photo, pixels.
        lines: Lines per caption. Text wider than the tile is cut off.
    """

    columns: int
    tile: int
    lines: int

    def corner(self, n: int) -> tuple[int, int]:
        """Return x and y of the upper left corner of the n-th photo, pixels."""
        row_height = self.tile + self.lines * _LINE_HEIGHT + _GAP
        row, column = divmod(n, self.columns)
        return _GAP + column * (self.tile + _GAP), _GAP + row * row_height

    def size(self, count: int) -> tuple[int, int]:
        """Return width and height of a sheet of `count` photos, pixels."""
        x, _ = self.corner(self.columns - 1)
        _, y = self.corner(max(count, 1) - 1)
        return x + self.tile + _GAP, y + self.tile + self.lines * _LINE_HEIGHT + _GAP


SMALL, LARGE = Layout(12, 96, 1), Layout(8, 144, 3)


def contact_sheet(
    pixels: np.ndarray,
    captions: dict[int, str],
    path: str | Path,
    layout: Layout = SMALL,
    empty_text: str = "none",
) -> None:
    """Write a contact sheet of selected crops as PNG.

    Args:
        pixels: Crops, uint8 (N, S, S, 3).
        captions: Row of `pixels` -> caption, lines separated by newlines. Keeps this order.
        path: File to write.
        layout: Geometry of the sheet.
        empty_text: Text on the sheet if `captions` is empty.
    """
    font, tile = ImageFont.load_default(11), layout.tile
    sheet = Image.new("RGB", layout.size(len(captions)), "white")
    draw = ImageDraw.Draw(sheet)
    if not captions:
        draw.text((8, 8), empty_text, fill="black", font=font)
    for n, (row, caption) in enumerate(captions.items()):
        x, y = layout.corner(n)
        photo = Image.fromarray(np.ascontiguousarray(pixels[row]))
        sheet.paste(photo.resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
        for i, line in enumerate(caption.split("\n")[: layout.lines]):
            fits = next(n for n in range(len(line), -1, -1) if font.getlength(line[:n]) <= tile)
            draw.text((x, y + tile + 1 + i * _LINE_HEIGHT), line[:fits], fill="black", font=font)
    with atomic_write(path) as tmp_path:
        sheet.save(tmp_path)


def read_photos(path: str | Path, count: int, layout: Layout = SMALL) -> list[Image.Image]:
    """Return the first `count` photos of a sheet that `contact_sheet` wrote, without captions."""
    with Image.open(path) as sheet:
        corners = [layout.corner(n) for n in range(count)]
        return [sheet.crop((x, y, x + layout.tile, y + layout.tile)) for x, y in corners]
