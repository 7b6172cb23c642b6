"""Contact sheets: many small photos on one picture, each with a caption."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from portrait18.files import whole

PHOTOS = 48  # what fits on a sheet that one still looks at


def contact_sheet(
    pixels: np.ndarray, captions: dict[int, str], path: str | Path, columns: int = 12, tile: int = 96
) -> None:
    """Tiles of some crops with a caption under each; says so where there is none to show.

    Args:
        pixels: uint8 (N, S, S, 3).
        captions: row of `pixels` -> caption.
    """
    font, line = ImageFont.load_default(11), 16
    rows = max(1, -(-len(captions) // columns))
    sheet = Image.new("RGB", (columns * (tile + 4) + 4, rows * (tile + line + 4) + 4), "white")
    draw = ImageDraw.Draw(sheet)
    if not captions:
        draw.text((8, 8), "none", fill="black", font=font)
    for n, (row, caption) in enumerate(captions.items()):
        x, y = 4 + n % columns * (tile + 4), 4 + n // columns * (tile + line + 4)
        sheet.paste(
            Image.fromarray(np.ascontiguousarray(pixels[row])).resize((tile, tile), Image.Resampling.LANCZOS), (x, y)
        )
        draw.text((x, y + tile + 1), caption[:16], fill="black", font=font)
    with whole(path) as aside:
        sheet.save(aside)
