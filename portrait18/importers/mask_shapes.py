"""Shapes of drawn things over the mean face of `mask_geometry`, in millimeters."""

import numpy as np

from portrait18.importers.mask_geometry import COLUMNS, ROWS
from portrait18.importers.mask_styles import Style

EARS = np.array([[70, 20, -75], [70, 44, -75]], float)  # ends of the two straps of the right side
#: Ends of bands around the head: above the ear, and at the neck.
_HEAD = np.array([[66, -25, -75], [58, 78, -75]], float)
#: Kind -> y of the upper edge in the middle and at the sides, of the lower edge likewise.
_EDGES = {
    "surgical": (14, 37, 120, 92),
    "cloth": (14, 40, 120, 90),
    "foam": (18, 45, 118, 88),
    "kn95": (9, 47, 119, 84),
    "kf94": (13, 50, 121, 80),
    "pattern": (14, 40, 120, 90),
    "transparent": (14, 38, 120, 92),
}
#: Way of wearing -> y of the upper edge (middle, sides) instead, and how far the lower edge moves.
_MOVED = {"nose": (56, 51, 3, 5), "lips": (88, 85, 8, 17), "chin": (101, 95, 13, 27)}
#: Kind -> curvature of the upper and lower edge: 1 is straight from the middle to the side.
_CURVES = {"kn95": (1.0, 1.7), "kf94": (1.2, 2.0), "foam": (1.5, 2.0)}


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Return u, -1 to 1 from left to right, and v, 0 to 1 down, of the corners of the patches."""
    u, v = np.meshgrid(np.linspace(-1, 1, COLUMNS + 1), np.linspace(0, 1, ROWS + 1))
    return u, v


def _waves(u: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random curve over u."""
    phase, pace = rng.uniform(0, 2 * np.pi, 3), np.array([2.5, 4.5, 7.5])
    parts = [np.sin(p * u + start) / p for p, start in zip(pace, phase, strict=True)]
    return amplitude * 2.5 * np.sum(parts, axis=0)


def sheet(worn: str, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Return the corners of the patches of a mask on the face.

    Args:
        worn: one of `mask_styles.WAYS` without ear.
        style: its kind, looseness and spread shape the sheet.
        rng: draws the fit.

    Returns:
        (ROWS + 1, COLUMNS + 1, 3), from the upper edge down and from left to right.
    """
    u, v = _grid()
    loose = style.looseness
    edges = np.array(_EDGES[style.kind], float)
    bump = 0.0
    if worn == "worn":
        edges[:2] += style.spread * rng.uniform(-5, 6)
        bump = style.spread * rng.uniform(0, 5)  # of the wire over the nose
    else:
        top, top_side, low, low_side = _MOVED[worn]
        edges = np.array([top, top_side, edges[2] + low, edges[3] + low_side])
    edges += rng.uniform(-2, 2, 4) + loose * np.array([0, 0, 8, 5])
    slant = rng.uniform(-1.5, 1.5) * (1 + style.spread)
    up, down = _CURVES.get(style.kind, (1.3, 2.4))
    upper = edges[0] + (edges[1] - edges[0]) * np.abs(u) ** up + slant * u
    upper += _waves(u, 0.8 * loose, rng) - bump * np.exp(-((u / 0.2) ** 2))
    lower = edges[2] + (edges[3] - edges[2]) * np.abs(u) ** down + slant * u
    lower += _waves(u, 1.5 * loose, rng)
    upper = np.maximum(upper, 7)  # below the eyes
    return _over_face(u, v, upper + (lower - upper) * v, style, rng)


def _over_face(
    u: np.ndarray, v: np.ndarray, y: np.ndarray, style: Style, rng: np.random.Generator
) -> np.ndarray:
    """Bend a sheet around the cheeks; a loose one stands off, and a ridge or fold stands out."""
    loose = style.looseness
    half = np.interp(y, (10, 40, 75, 100, 115, 130), (65, 66, 61, 53, 48, 44)) + 3 * loose
    half *= rng.uniform(0.97, 1.03)
    front = np.interp(y, (10, 38, 55, 75, 108, 130, 150), (14, 38, 36, 28, 14, -8, -16)) + 5 * loose
    angle = u * np.radians(67 + style.spread * rng.uniform(-9, 3))
    z = -55 + (front + 55) * np.cos(angle)
    inner = np.sin(np.pi * np.clip(v, 0.02, 0.98))
    if style.kind == "kn95":
        z += 14 * inner * np.clip(1 - np.abs(u) / 0.8, 0, 1)
    elif style.kind == "kf94":
        z += 12 * inner**0.6 * np.clip(1 - u * u, 0, 1)
    return np.stack([half * np.sin(angle), y, z], -1)


def hanging(side: int, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Return a mask that hangs from one ear, its length pointing down; see `sheet`.

    Args:
        side: -1 hangs from the left ear of the photo, 1 from the right one.
        style: of the mask.
        rng: draws how far it is curled and turned.
    """
    u, v = _grid()
    wide, length = rng.uniform(18, 37), rng.uniform(115, 160)
    middle = side * rng.uniform(64, 74) + rng.uniform(-14, 10) * side * v + _waves(v, 1.5, rng)
    narrow = 1 - rng.uniform(0.1, 0.4) * (1 - np.sin(np.pi * np.clip(0.1 + 0.8 * v, 0, 1)))
    y = rng.uniform(44, 56) + length * v + rng.uniform(-8, 8) * u
    z = -35 + 30 * style.looseness * v + rng.uniform(6, 18) * np.cos(u * 1.4)
    return np.stack([middle + wide * narrow * u, y, z], -1)


def scarf(top: float, rng: np.random.Generator) -> np.ndarray:
    """Return a scarf around the neck up to y = `top` millimeters; see `sheet`."""
    u, v = _grid()
    upper = top + rng.uniform(6, 22) * np.abs(u) ** rng.uniform(1.2, 2.2) * rng.choice([-0.6, 1])
    upper += rng.uniform(-9, 9) * u + _waves(u, rng.uniform(1.5, 4), rng)
    y = upper + (rng.uniform(215, 250) - upper) * v
    half = np.interp(y, (40, 75, 110, 150, 240), (72, 73, 76, 88, 125)) * rng.uniform(0.95, 1.08)
    front = np.interp(y, (30, 55, 75, 108, 150, 240), (46, 46, 42, 34, 30, 40))
    angle = u * np.radians(80)
    z = -60 + (front + 60) * np.cos(angle) + _waves(3 * v + 0.6 * u, 3, rng)
    return np.stack([half * np.sin(angle), y, z], -1)


def straps(corners: np.ndarray, worn: str, style: Style, side: int) -> list[np.ndarray]:
    """Return the visible straps of one side, each (13, 3), from the ear or head to the sheet.

    Args:
        corners: of the mask.
        worn: one of `mask_styles.WAYS`.
        style: of the mask.
        side: -1 left, 1 right in the photo. A mask that hangs from an ear has straps on one side.
    """
    steps = np.linspace(0, 1, 13)[:, None]
    if worn == "ear":
        ends = corners[0, 4], corners[0, -5]
        loop = corners[-1, 4] + (corners[-1, -5] - corners[-1, 4]) * steps  # of the other side
        loop[:, 1] += 38 * np.sin(np.pi * steps[:, 0])
        targets = EARS * (side, 1, 1)
    else:
        if style.straps == "hidden":
            return []
        column = 0 if side < 0 else -1
        ends = corners[1, column], corners[-2, column]
        loop = None
        targets = (_HEAD if style.straps == "head" else EARS) * (side, 1, 1)
    lines = []
    for corner, target in zip(ends, targets, strict=True):
        line = corner + (target - corner) * steps
        line[:, 0] += side * 3 * np.sin(np.pi * steps[:, 0])  # around the cheek
        lines.append(line)
    return lines if loop is None else [*lines, loop]
