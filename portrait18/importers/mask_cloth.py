"""Surfaces of drawn masks: folds, wrinkles, seams, patterns and transparency."""

import cv2
import numpy as np

from portrait18.importers.mask_styles import Style, draw_color


def cloth(
    style: Style, u: np.ndarray, v: np.ndarray, crumpled: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the color of the cloth before any light and its opacity.

    Args:
        style: of the mask.
        u: place across the sheet (h, w), -1 to 1.
        v: place down the sheet (h, w), 0 to 1.
        crumpled: 0 flat to 1 pushed together, as on the chin.
        rng: draws wrinkles, folds and pattern.

    Returns:
        Float (h, w, 3), and float (h, w), 0 to 1.
    """
    tint = 1 + style.wrinkles * _noise(u, v, (5, 7), rng)
    tint += (0.3 * style.wrinkles + 0.1 * crumpled) * _noise(u, v, (14, 4), rng)
    tint += _tension(u, v, style.wrinkles, rng)
    hem = np.minimum(1 - np.abs(u), 1.6 * np.minimum(v, 1 - v))
    _add_relief(tint, style.kind, (u, v, hem), rng)
    second, share = style.color, np.zeros_like(u)
    if style.kind == "pattern":
        second, share = pattern(u, v, style.color, rng)
    if style.kind != "foam":
        tint -= 0.10 * line(hem - 0.07, 0.012) + 0.10 * line(hem, 0.025)
    color = (style.color + (second - style.color) * share[..., None]) * tint[..., None]
    if style.valve:
        _add_valve(color, u, v, rng)
    opacity = np.ones_like(u)
    if style.kind == "transparent":
        opacity = _window(color, hem, u, v, rng)
    return color, opacity


def line(distance: np.ndarray, width: float) -> np.ndarray:
    """Return a soft line: 1 at distance 0, 0.37 at `width`."""
    return np.exp(-((distance / width) ** 2))


def _noise(
    u: np.ndarray, v: np.ndarray, cells: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return smooth noise (h, w) over the sheet, with cells[0] bumps down and cells[1] across."""
    grid = rng.normal(0, 1, cells).astype(np.float32)
    fine = cv2.resize(grid, (90, 90), interpolation=cv2.INTER_CUBIC)
    at = ((u + 1) * 44.5).astype(np.float32), (v * 89).astype(np.float32)
    return cv2.remap(fine, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _tension(u: np.ndarray, v: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return folds (h, w) that run from the ends of the straps to the middle."""
    total = np.zeros_like(u)
    for side in (-1, 1):
        for end in (0.04, 0.96):
            for _ in range(rng.integers(0, 3)):
                along = 1 - side * u
                slope = rng.uniform(0.05, 0.5) * (1 if end < 0.5 else -1)
                off = v - end - slope * along
                fade = np.exp(-along / rng.uniform(0.2, 0.6))
                width = rng.uniform(0.015, 0.035)
                total += strength * 2 * fade * (line(off - width, width) - line(off, width))
    return total


def _add_relief(
    tint: np.ndarray,
    kind: str,
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Add folds, ridge or weave to `tint`, in place; `place` is u, v and distance from the hem."""
    u, v, hem = place
    if kind == "surgical":
        apart, depth = rng.uniform(0.16, 0.23), rng.uniform(0.08, 0.2)
        for fold in rng.uniform(0.42, 0.56) + apart * np.array([-1, 0, 1]):
            off = v - fold - rng.uniform(0.01, 0.05) * u * u
            tint += -depth * line(off, 0.016) + 0.4 * depth * line(off - 0.04, 0.03)
    elif kind == "kn95":
        tint += (
            -0.22 * line(u, 0.014)
            + 0.06 * line(np.abs(u) - 0.04, 0.02)
            - 0.08 * line(hem - 0.17, 0.012)
        )
    elif kind == "kf94":
        upper, lower = v - 0.33 - 0.15 * u * u, v - 0.72 + 0.2 * u * u
        tint += 0.05 * (upper < 0) - 0.14 * (lower > 0)
        tint -= 0.15 * line(upper, 0.012) + 0.12 * line(lower, 0.012)
    elif kind == "foam":
        tint -= 0.14 * line(u, 0.012) + 0.05 * line(hem, 0.05)
    elif kind != "transparent":
        tint += 0.025 * rng.standard_normal(u.shape, np.float32)
        if rng.random() < 0.4:
            tint -= 0.12 * line(u, 0.012)


def _add_valve(color: np.ndarray, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a round valve on one side, in place."""
    side, shade = rng.choice([-1, 1]), rng.uniform(60, 225)
    away = np.hypot((u - side * 0.42) * 1.15, v - 0.6)
    inside = (0.5 - 0.5 * np.tanh(60 * (away - 0.155)))[..., None]
    rings = 1 - 0.25 * line(away - 0.14, 0.018) - 0.2 * line(away - 0.07, 0.012)
    color += (shade * rings[..., None] - color) * inside


def _window(
    color: np.ndarray, hem: np.ndarray, u: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the opacity of a mask with a clear window, and draw reflections on it, in place."""
    clear = 0.5 + 0.5 * np.tanh(40 * (hem - rng.uniform(0.12, 0.3)))
    glint = np.zeros_like(u)
    for _ in range(rng.integers(1, 4)):
        off = v - rng.uniform(0.2, 0.8) - rng.uniform(-0.5, 0.5) * u
        glint += line(off, rng.uniform(0.02, 0.06)) * line(u - rng.uniform(-0.6, 0.6), 0.4)
    haze = np.clip(rng.uniform(0.06, 0.22) + 0.6 * glint, 0, 0.85)
    color += (240 - color) * clear[..., None]
    return 1 - clear + clear * haze


def pattern(
    u: np.ndarray, v: np.ndarray, color: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a second color (3,) and its share (h, w): dots, stripes, checks or patches."""
    second = draw_color("pattern", rng)
    if np.abs(second - color).sum() < 150:
        second = 255 - color
    period, turn = rng.uniform(0.12, 0.34), rng.uniform(-0.6, 0.6)
    across, along = (u + turn * v) / period, (1.3 * v - turn * u) / period
    soft = [0.5 + 0.5 * np.tanh(5 * np.sin(2 * np.pi * w)) for w in (across, along)]
    dots = np.hypot(across % 1 - 0.5, along % 1 - 0.5)
    patches = 0.5 + 0.5 * np.tanh(4 * _noise(u, v, (9, 13), rng))
    shares = (
        0.5 - 0.5 * np.tanh(20 * (dots - 0.27)),
        soft[1],
        (soft[0] + soft[1]) / 2,
        patches,
    )
    return second, shares[rng.integers(4)]


def drapes(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the brightness (h, w) of a draped scarf: a rolled edge, folds and a rough weave."""
    tint = 1 + 0.06 * _noise(u, v, (9, 5), rng) + 0.04 * rng.standard_normal(u.shape)
    tint += 0.12 * line(v - 0.03, 0.02) - 0.3 * line(v - 0.075, 0.02)
    for _ in range(rng.integers(8, 18)):
        bend, slope = rng.uniform(-0.3, 0.3, 2)
        off = v - rng.uniform(0.1, 0.95) - slope * u - bend * u * u
        width = rng.uniform(0.008, 0.035)
        fade = line(u - rng.uniform(-0.6, 0.6), rng.uniform(0.4, 1.2))
        tint += fade * rng.uniform(0.15, 0.45) * (line(off + width, width) - line(off, width))
    return np.clip(tint, 0.35, 1.4)
