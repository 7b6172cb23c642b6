"""Draw boxes and predictions onto photos."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Box: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels
#: Colors that distinguish neighboring faces, dark enough for white text.
COLORS = ("#0072b2", "#d55e00", "#00795a", "#a3457f", "#5d3a9b", "#7a5c00")
MIN_FONT_SIZE = 11  # pixels: still legible


def annotate(photo: np.ndarray, boxes: Sequence[Box], labels: list[list[str]]) -> Image.Image:
    """Return a copy of the photo with a box around each face and a label next to it.

    Args:
        photo: uint8 (H, W, 3), RGB.
        boxes: x0, y0, x1, y1 of each face in pixels.
        labels: lines of text for each face.
    """
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    font_size = max(MIN_FONT_SIZE, round(min(image.size) / 32))
    font, line = ImageFont.load_default(font_size), max(2, font_size // 6)
    taken: list[Box] = []
    for n, box in enumerate(boxes):
        draw.rectangle(box, outline=COLORS[n % len(COLORS)], width=line)
    for n, (box, lines) in enumerate(zip(boxes, labels, strict=True)):
        text = "\n".join(lines)
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font, spacing=line)
        size = (right - left + 4 * line, bottom - top + 4 * line)
        label = place_label(box, size, image.size, taken)
        taken.append(label)
        draw.rectangle(label, fill=COLORS[n % len(COLORS)])
        corner = (label[0] + 2 * line - left, label[1] + 2 * line - top)
        draw.multiline_text(corner, text, fill="white", font=font, spacing=line)
    return image


def place_label(
    box: Box, size: tuple[float, float], photo: tuple[float, float], taken: Sequence[Box]
) -> Box:
    """Return the rectangle of a label: above, below, next to or inside its box, within the photo.

    The first position wins that overlaps neither other labels nor the box. If there is none, the
    box may be covered, and at last other labels too.

    Args:
        box: the face.
        size: width and height of the label.
        photo: width and height of the photo.
        taken: labels placed before.
    """
    (width, height), (photo_width, photo_height) = size, photo

    def within_photo(x: float, y: float) -> Box:
        x = max(0, min(x, photo_width - width))
        y = max(0, min(y, photo_height - height))
        return x, y, x + width, y + height

    x0, y0, x1, y1 = box
    corners = [(x0, y0 - height), (x0, y1), (x1, y0), (x0 - width, y0), (x0, y0), (x0, y1 - height)]
    labels = [within_photo(x, y) for x, y in corners]
    free = [label for label in labels if not any(_overlap(label, other) for other in taken)]
    clear = [label for label in free if not _overlap(label, box)]
    return (clear or free or labels)[0]


def _overlap(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]
