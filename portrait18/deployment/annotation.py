"""Photos with what was found drawn on them: a box around each face, and the answers beside it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: Colours that tell neighbouring faces apart, dark enough for white letters.
COLORS = ("#0072b2", "#d55e00", "#00795a", "#a3457f", "#5d3a9b", "#7a5c00")
SMALLEST_LETTERS = 11  # pixels: still legible


def annotated(
    photo: np.ndarray, boxes: list[tuple[float, float, float, float]], labels: list[list[str]]
) -> Image.Image:
    """A copy of the photo with a box around each face and its label on a plate near it.

    A plate stands above its box, below it or in it, wherever it lies within the photo and on no other plate.

    Args:
        photo: uint8 (H, W, 3), RGB.
        boxes: x0, y0, x1, y1 of each face, pixels.
        labels: the lines of each.
    """
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    letters = max(SMALLEST_LETTERS, round(min(image.size) / 32))
    font, line = ImageFont.load_default(letters), max(2, letters // 6)
    taken: list[tuple[float, float, float, float]] = []
    for n, box in enumerate(boxes):
        draw.rectangle(box, outline=COLORS[n % len(COLORS)], width=line)
    for n, (box, lines) in enumerate(zip(boxes, labels, strict=True)):
        text = "\n".join(lines)
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font, spacing=line)
        plate = _place(box, (right - left + 4 * line, bottom - top + 4 * line), image.size, taken)
        taken.append(plate)
        draw.rectangle(plate, fill=COLORS[n % len(COLORS)])
        corner = (plate[0] + 2 * line - left, plate[1] + 2 * line - top)
        draw.multiline_text(corner, text, fill="white", font=font, spacing=line)
    return image


def _place(box, size, photo, taken) -> tuple[float, float, float, float]:
    """Where a plate of (width, height) goes: the first place that is free, else the first that there is."""
    (width, height), (wide, high) = size, photo

    def within(x: float, y: float) -> tuple[float, float, float, float]:
        x, y = max(0, min(x, wide - width)), max(0, min(y, high - height))
        return x, y, x + width, y + height

    x0, y0, x1, y1 = box
    places = [(x0, y0 - height), (x0, y1), (x1, y0), (x0 - width, y0), (x0, y0), (x0, y1 - height)]
    plates = [within(x, y) for x, y in places]

    def free(plate) -> bool:
        return not any(
            plate[0] < t[2] and t[0] < plate[2] and plate[1] < t[3] and t[1] < plate[3]
            for t in taken
        )

    def clear(plate) -> bool:
        return plate[2] <= x0 or x1 <= plate[0] or plate[3] <= y0 or y1 <= plate[1]

    for fits in (lambda p: free(p) and clear(p), free):
        for plate in plates:
            if fits(plate):
                return plate
    return plates[0]
