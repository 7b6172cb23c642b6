"""Draw a mask on a portrait, from the five points that MTCNN finds.

The light on the cloth is the photo's own, blurred, times the shading of the sheet's shape. Edges
are as blurred as the photo.
"""

from typing import NamedTuple

import cv2
import numpy as np

from portrait18.importers import mask_cloth, mask_geometry, mask_light, mask_shapes, mask_styles
from portrait18.importers.mask_geometry import Canvas, is_frontal, project
from portrait18.importers.mask_styles import WAYS, Style, Variety

#: How far a mask is pushed together.
_CRUMPLED = {"worn": 0.0, "nose": 0.1, "lips": 0.5, "chin": 1.0, "ear": 0.3}


class Layer(NamedTuple):
    """What is drawn on a photo, in the photo's resolution.

    Attributes:
        color: float (h, w, 3), 0 to 255, light included.
        alpha: share of each pixel that it covers, float (h, w), 0 to 1.
        height: distance from the skin in millimeters, for the shadow.
    """

    color: np.ndarray
    alpha: np.ndarray
    height: float


def draw(
    photo: np.ndarray,
    points: np.ndarray,
    worn: str,
    seed: int,
    variety: Variety = mask_styles.VARIETIES["varied"],
) -> np.ndarray:
    """Draw a mask on a face.

    Args:
        photo: uint8 (H, W, 3), RGB; it is not changed.
        points: (5, 2), x and y in pixels: left eye, right eye, nose tip, left and right corner of
            the mouth, as seen in the photo (MTCNN's order).
        worn: one of `mask_styles.WAYS`.
        seed: draws kind, color, fit and light. The same arguments give the same bytes.
        variety: which masks to draw.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: Another `worn`, or points for which `is_frontal` is false.
    """
    if worn not in WAYS:
        raise ValueError(f"worn {worn!r} must be one of {list(WAYS)}")
    check_points(points)
    rng = np.random.default_rng([seed, WAYS.index(worn)])
    style = mask_styles.draw_style(variety, worn, rng)
    view = mask_geometry.camera(points)
    corners, lines = _place(view, worn, style, rng)
    canvas = mask_geometry.make_canvas(view, [corners, *lines], photo.shape[1::-1])
    if canvas is None:
        return photo.copy()
    maps = mask_geometry.paint(view, corners, canvas, light_direction(rng))
    u, v = (2 * maps.v - 1, (maps.u + 1) / 2) if worn == "ear" else (maps.u, maps.v)
    cloth, opacity = mask_cloth.cloth(style, u, v, _CRUMPLED[worn] * style.spread, rng)
    lit = lighting(photo[canvas.region], canvas.shrink(maps.cover), view)
    color, cover = shrink_weighted(canvas, cloth * maps.shade[..., None], maps.cover * opacity)
    strap = canvas.shrink(_straps(view, lines, style.strap_width, canvas))
    layers = [
        Layer(mask_styles.strap_color(style) * lit * 0.9, strap, 1.0),
        Layer(color * lit, cover, 2.5 + 3 * style.looseness),
    ]
    if worn == "ear":
        layers.reverse()  # the straps are in front
    return compose(photo, canvas, view, layers, rng)


def _place(
    view: np.ndarray, worn: str, style: Style, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the corners of the mask's patches and the visible straps."""
    if worn == "ear":
        side = visible_side(view, rng)
        corners = mask_shapes.hanging(side, style, rng)
        return corners, mask_shapes.straps(corners, worn, style, side)
    corners = mask_shapes.sheet(worn, style, rng)
    pairs = [(s, line) for s in (-1, 1) for line in mask_shapes.straps(corners, worn, style, s)]
    return corners, [line for side, line in pairs if seen(view, line, side)]


def check_points(points: np.ndarray) -> None:
    """Raise ValueError unless the points are those of a frontal face."""
    if not (np.isfinite(points).all() and is_frontal(points)):
        raise ValueError(f"points {np.asarray(points).tolist()} are not those of a frontal face")


def visible_side(view: np.ndarray, rng: np.random.Generator) -> int:
    """Return the side whose ear is turned to the camera, -1 or 1; a random one if both are."""
    turn = float(view[:, 2] @ view[:, 0] / (view[:, 0] @ view[:, 0]))
    return int(rng.choice([-1, 1]) if abs(turn) < 0.12 else np.sign(-turn))


def seen(view: np.ndarray, line: np.ndarray, side: int) -> bool:
    """Return whether a strap leads away from the face, and not behind the cheek."""
    flat = project(view, line)
    return bool((flat[-1] - flat[0]) @ view[:, 0] * side > 0)


def light_direction(rng: np.random.Generator) -> np.ndarray:
    """Draw a unit vector (3,) towards the light, from above."""
    light = np.array([rng.uniform(-0.5, 0.5), -0.45, 0.8])
    return light / np.linalg.norm(light)


def lighting(part: np.ndarray, cover: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the color of the light (h, w, 3) on a part of a photo."""
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scale = float(np.linalg.norm(view[:, 1]))
    return mask_light.light(gray, cover, scale)[..., None] * mask_light.cast(part)


def shrink_weighted(
    canvas: Canvas, color: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shrink fine colors (h, w, 3), weighted by fine alpha (h, w), and alpha itself."""
    small = canvas.shrink(alpha.astype(np.float32))
    mixed = canvas.shrink((color * alpha[..., None]).astype(np.float32))
    return mixed / np.maximum(small, 1e-3)[..., None], small


def compose(
    photo: np.ndarray,
    canvas: Canvas,
    view: np.ndarray,
    layers: list[Layer],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the photo with the layers on it, the first one lowest, as sharp and noisy as it is."""
    part = photo[canvas.region]
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    scale = float(np.linalg.norm(view[:, 1]))
    sigma, grain = mask_light.sharpness(gray), mask_light.noise(gray)
    result = part.astype(np.float32)
    for color, alpha, height in layers:
        result *= mask_light.shadow(view, alpha, scale, height)
        grains = grain * rng.standard_normal(alpha.shape)[..., None]
        mixed, cover = (color + grains) * alpha[..., None], alpha
        if sigma > 0.2:
            mixed, cover = (cv2.GaussianBlur(a, (0, 0), sigma) for a in (mixed, cover))
        result = result * (1 - cover[..., None]) + mixed
    drawn = photo.copy()
    drawn[canvas.region] = np.rint(np.clip(result, 0, 255)).astype(np.uint8)
    return drawn


def _straps(view: np.ndarray, lines: list[np.ndarray], width: float, canvas: Canvas) -> np.ndarray:
    """Return the cover (h, w), fine, of straps; each line is (13, 3), width in millimeters."""
    cover = canvas.blank(1)[..., 0]
    thick = max(1, round(width * float(np.linalg.norm(view[:, 1])) * canvas.fine))
    for line in lines:
        flat = project(view, line)
        # Straps fade out towards the ears, because hair may hide them.
        for n, share in enumerate(np.interp(np.arange(12), (5, 12), (1.0, 0.0))):
            start, end = canvas.to_fixed_point(flat[n : n + 2]).tolist()
            cv2.line(cover, start, end, float(share), thick, cv2.LINE_8, 4)
    return cover
