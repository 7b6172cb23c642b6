"""Contact sheets: many small photos on one picture, each with a caption."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from portrait18.core.files import atomic_write

PHOTOS = 48  # what fits on a sheet that one still looks at
_LINE, _GAP = 16, 4  # pixels: height of a line of the caption, space between tiles


class Layout(NamedTuple):
    """How a sheet is laid out."""

    columns: int
    tile: int  # pixels: side of a photo
    lines: int  # of the caption; what is longer than the tile is wide is cut off

    def corner(self, n: int) -> tuple[int, int]:
        """x, y of the n-th photo on the sheet."""
        down = self.tile + self.lines * _LINE + _GAP
        return _GAP + n % self.columns * (self.tile + _GAP), _GAP + n // self.columns * down

    def size(self, count: int) -> tuple[int, int]:
        """Width, height of a sheet of `count` photos."""
        x, _ = self.corner(self.columns - 1)
        _, y = self.corner(max(count, 1) - 1)
        return x + self.tile + _GAP, y + self.tile + self.lines * _LINE + _GAP


SMALL, LARGE = Layout(12, 96, 1), Layout(8, 144, 3)


def contact_sheet(
    pixels: np.ndarray,
    captions: dict[int, str],
    path: str | Path,
    layout: Layout = SMALL,
    none: str = "none",
) -> None:
    """Tiles of some crops with a caption under each.

    Args:
        pixels: uint8 (N, S, S, 3).
        captions: row of `pixels` -> caption, its lines parted by newlines.
        none: what the sheet says where there is no photo to show.
    """
    font, tile = ImageFont.load_default(11), layout.tile
    sheet = Image.new("RGB", layout.size(len(captions)), "white")
    draw = ImageDraw.Draw(sheet)
    if not captions:
        draw.text((8, 8), none, fill="black", font=font)
    for n, (row, caption) in enumerate(captions.items()):
        x, y = layout.corner(n)
        photo = Image.fromarray(np.ascontiguousarray(pixels[row]))
        sheet.paste(photo.resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
        for i, line in enumerate(caption.split("\n")[: layout.lines]):
            fits = next(n for n in range(len(line), -1, -1) if font.getlength(line[:n]) <= tile)
            draw.text((x, y + tile + 1 + i * _LINE), line[:fits], fill="black", font=font)
    with atomic_write(path) as tmp_path:
        sheet.save(tmp_path)


def cut(path: str | Path, count: int, layout: Layout = SMALL) -> list[Image.Image]:
    """The first `count` photos of a sheet that `contact_sheet` drew, without their captions."""
    with Image.open(path) as sheet:
        corners = [layout.corner(n) for n in range(count)]
        return [sheet.crop((x, y, x + layout.tile, y + layout.tile)) for x, y in corners]
