"""Draw a hand or a scarf in front of the mouth of a face without a mask.

Networks that see nothing but masks there take everything for a mask.
"""

import cv2
import numpy as np

from portrait18.importers import hand_shape, mask_cloth, mask_geometry, mask_shapes, mask_styles
from portrait18.importers.mask_drawing import (
    Layer,
    check_points,
    compose,
    light_direction,
    lighting,
    shrink_weighted,
)
from portrait18.importers.mask_geometry import Canvas, project
from portrait18.importers.mask_styles import OCCLUDERS

_CHEEKS = np.array([[-36, 42, 8], [36, 42, 8], [-24, 30, 18], [24, 30, 18], [0, 20, 26]], float)
_DEPTH = 34.0  # of a hand's plane, in millimeters in front of the eyes


def draw(photo: np.ndarray, points: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Draw a hand or a scarf.

    Args:
        photo: uint8 (H, W, 3), RGB; it is not changed.
        points: five points of a frontal face, see `mask_drawing.draw`.
        name: one of `OCCLUDERS`.
        seed: draws pose, place and color. The same arguments give the same bytes.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: Another `name`, or points of no frontal face.
    """
    if name not in OCCLUDERS:
        raise ValueError(f"name {name!r} must be one of {list(OCCLUDERS)}")
    check_points(points)
    rng = np.random.default_rng([seed, 100 + OCCLUDERS.index(name)])
    view = mask_geometry.camera(points)
    return (_hand if name == "hand" else _scarf)(photo, view, rng)


def _scarf(photo: np.ndarray, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a scarf around the neck that covers the chin, the mouth or the nose."""
    top = rng.uniform(*((32, 50), (58, 68), (94, 108))[rng.choice(3, p=(0.35, 0.35, 0.3))])
    corners = mask_shapes.scarf(top, rng)
    canvas = mask_geometry.make_canvas(view, [corners], photo.shape[1::-1])
    if canvas is None:
        return photo.copy()
    maps = mask_geometry.paint(view, corners, canvas, light_direction(rng))
    color = mask_styles.draw_color("pattern", rng)
    second, share = color, np.zeros_like(maps.u)
    if rng.random() < 0.5:
        second, share = mask_cloth.pattern(maps.u, maps.v, color, rng)
    tint = mask_cloth.drapes(maps.u, maps.v, rng)
    cloth = (color + (second - color) * share[..., None]) * (tint * maps.shade)[..., None]
    pixels, alpha = shrink_weighted(canvas, cloth, maps.cover)
    lit = lighting(photo[canvas.region], alpha, view)
    return compose(photo, canvas, view, [Layer(pixels * lit, alpha, 6.0)], rng)


def _hand(photo: np.ndarray, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a hand of the color of the cheeks."""
    side = int(rng.choice([-1, 1]))
    hand = hand_shape.pose(hand_shape.POSES[rng.choice(3, p=(0.5, 0.25, 0.25))], side, rng)
    extent = np.array([[x, y, _DEPTH] for x in (-110, 110) for y in (20, 230)], float)
    canvas = mask_geometry.make_canvas(view, [extent], photo.shape[1::-1])
    if canvas is None:
        return photo.copy()
    millimeter = float(np.linalg.norm(view[:, 1])) * canvas.fine
    surface = hand_shape.render(hand, *_places(canvas, view))
    height = hand_shape.smooth_height(surface, max(0.6, 1.9 * millimeter))
    color = _skin(photo, view) * rng.uniform(0.88, 1.06) * (1, rng.uniform(0.95, 1), 1)
    blotches = cv2.resize(
        rng.normal(1, 0.06, (9, 9)), height.shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    color = color * blotches[..., None]
    if rng.random() < 0.6:
        sleeve = 0.5 + 0.5 * np.tanh((surface.arm - rng.uniform(15, 90)) / 1.5)
        color += (mask_styles.draw_color("pattern", rng) - color) * sleeve[..., None]
    color *= _relief(height, millimeter, light_direction(rng))[..., None]
    pixels, alpha = shrink_weighted(canvas, color, surface.cover)
    return compose(photo, canvas, view, [Layer(pixels, alpha, 5.0)], rng)


def _places(canvas: Canvas, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place on the hand's plane of each fine pixel, x and y in millimeters."""
    height, width = canvas.blank(1).shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = (np.stack([x, y], -1) + 0.5) / canvas.fine - 0.5 + (canvas.x0, canvas.y0)
    flat = (pixels - view[:, 3] - _DEPTH * view[:, 2]) @ np.linalg.inv(view[:, :2]).T
    return flat[..., 0], flat[..., 1]


def _skin(photo: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return the median color (3,) of nose and cheeks."""
    height, width = photo.shape[:2]
    radius = max(1, round(4 * float(np.linalg.norm(view[:, 1]))))
    colors = []
    for x, y in np.rint(project(view, _CHEEKS)).astype(int):
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        patch = photo[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        colors.append(patch.reshape(-1, 3).mean(0))
    return np.median(colors, axis=0)


def _relief(height: np.ndarray, millimeter: float, light: np.ndarray) -> np.ndarray:
    """Return the brightness (h, w) of a surface of this height, about 1 where it is flat."""
    height = height.astype(np.float32)
    dy, dx = np.gradient(height * millimeter)
    facing = (-dx * light[0] - dy * light[1] + light[2]) / np.sqrt(dx * dx + dy * dy + 1)
    around = cv2.GaussianBlur(height, (0, 0), 5 * millimeter)
    crease = np.clip((around - height) / 6, -0.15, 0.5)  # between fingers it is darker
    return (0.45 + 0.62 * np.clip(facing, 0, 1)) * (1 - 0.6 * crease)
