"""Kinds, colors and surfaces of drawn masks."""

import cv2
import numpy as np

KINDS = ("surgical", "cloth", "kn95", "pattern")
_KIND_PROBABILITIES = (0.45, 0.2, 0.2, 0.15)
_WHITE, _BLUE, _BLACK = (236, 238, 240), (150, 196, 222), (38, 38, 42)
_OTHERS = (
    (196, 198, 200),
    (232, 184, 196),
    (170, 210, 190),
    (44, 58, 96),
    (214, 196, 170),
    (120, 30, 44),
)
#: Probabilities of white, light blue, black, one of the others, and any color.
_COLOR_PROBABILITIES = {
    "surgical": (0.35, 0.40, 0.15, 0.10, 0.00),
    "cloth": (0.15, 0.05, 0.30, 0.25, 0.25),
    "kn95": (0.60, 0.05, 0.20, 0.15, 0.00),
    "pattern": (0.15, 0.10, 0.25, 0.25, 0.25),
}


def draw_kind(rng: np.random.Generator) -> str:
    """Draw one of `KINDS`."""
    return KINDS[rng.choice(len(KINDS), p=_KIND_PROBABILITIES)]


def draw_color(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a color (3,) that suits the kind, RGB, 0 to 255."""
    choice = rng.choice(5, p=_COLOR_PROBABILITIES[kind])
    other = _OTHERS[rng.integers(len(_OTHERS))]
    any_hue = rng.integers((0, 40, 60), (180, 200, 235)).astype(np.uint8)
    drawn = cv2.cvtColor(any_hue[None, None], cv2.COLOR_HSV2RGB)[0, 0]
    return np.array((_WHITE, _BLUE, _BLACK, other, tuple(drawn))[choice], float)


def strap_color(kind: str, color: np.ndarray) -> np.ndarray:
    """Return the color of the straps: nearly white on light disposable masks, else the mask's."""
    if kind in ("surgical", "kn95") and color.sum() > 200:
        return np.minimum(color * 0.6 + 95, 240)
    return color


def cloth(
    kind: str, u: np.ndarray, v: np.ndarray, color: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the color of the cloth before any light, float (h, w, 3).

    Args:
        kind: one of `KINDS`.
        u: place across the sheet (h, w), -1 to 1.
        v: place down the sheet (h, w), 0 to 1.
        color: of the cloth, (3,).
        rng: draws wrinkles, folds and pattern.
    """
    wrinkles = cv2.resize(
        rng.normal(0, 1, (5, 7)).astype(np.float32), (70, 50), interpolation=cv2.INTER_CUBIC
    )
    at = ((u + 1) * 34.5).astype(np.float32), (v * 49).astype(np.float32)
    tint = 1 + 0.03 * cv2.remap(wrinkles, *at, cv2.INTER_LINEAR)
    hem = np.minimum(1 - np.abs(u), 1.6 * np.minimum(v, 1 - v))
    _add_relief(tint, kind, (u, v, hem), rng)
    second, share = color, np.zeros_like(u)
    if kind == "pattern":
        second, share = _pattern(u, v, color, rng)
    tint -= 0.10 * _line(hem - 0.07, 0.012) + 0.10 * _line(hem, 0.025)
    return (color + (second - color) * share[..., None]) * tint[..., None]


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((distance / width) ** 2))


def _add_relief(
    tint: np.ndarray,
    kind: str,
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Add folds, ridge or weave to `tint`, in place; `place` is u, v and distance from the hem."""
    u, v, hem = place
    if kind == "surgical":
        for fold in rng.uniform(-0.02, 0.02) + np.array([0.3, 0.5, 0.7]):
            off = v - fold - 0.03 * u * u
            tint += -0.16 * _line(off, 0.016) + 0.06 * _line(off - 0.04, 0.03)
    elif kind == "kn95":
        tint += (
            -0.22 * _line(u, 0.014)
            + 0.06 * _line(np.abs(u) - 0.04, 0.02)
            - 0.08 * _line(hem - 0.17, 0.012)
        )
    else:
        tint += 0.025 * rng.standard_normal(u.shape, np.float32)
        if rng.random() < 0.4:
            tint -= 0.12 * _line(u, 0.012)


def _pattern(
    u: np.ndarray, v: np.ndarray, color: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a second color (3,) and its share (h, w): dots, stripes or checks."""
    second = draw_color("pattern", rng)
    if np.abs(second - color).sum() < 150:
        second = 255 - color
    period = rng.uniform(0.16, 0.34)
    across, along = u / period, 1.3 * v / period
    soft = [0.5 + 0.5 * np.tanh(5 * np.sin(2 * np.pi * w)) for w in (across, along)]
    dots = np.hypot(across % 1 - 0.5, along % 1 - 0.5)
    shares = (0.5 - 0.5 * np.tanh(20 * (dots - 0.27)), soft[1], (soft[0] + soft[1]) / 2)
    return second, shares[rng.integers(3)]
