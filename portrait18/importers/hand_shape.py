"""The shape of a hand in front of a face: capsules in millimeters, rendered as a height map.

A capsule is a row (x0, y0, r0, x1, y1, r1, z): a round bar between two points whose radius changes
from r0 to r1, with its axis z in front of the others. The canonical hand points up, its wrist at
(0, 0), seen from the back.
"""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

POSES = ("cover", "rest", "lips")  # palm over the mouth | chin on the fist | fingers on the lips
_KNUCKLES = np.array([[-28, -78], [-10, -86], [9, -83], [26, -72]], float)
_WRIST = np.array([[-17, -6], [-6, -4], [6, -4], [16, -4]], float)
_LENGTHS = np.array([66, 74, 68, 52], float)
_SPREAD = np.radians([-9, -2, 4, 12])


class Surface(NamedTuple):
    """What each pixel shows of a hand, float (h, w) each.

    Attributes:
        height: millimeters in front of the hand's plane; 0 where there is no hand.
        cover: 1 on the hand, 0 elsewhere.
        arm: millimeters below the wrist, negative on the hand.
    """

    height: np.ndarray
    cover: np.ndarray
    arm: np.ndarray


class Hand(NamedTuple):
    """A posed hand.

    Attributes:
        bars: capsules (n, 7) in the canonical frame.
        frame: affine map (2, 3) from the canonical frame to the face's millimeters.
    """

    bars: np.ndarray
    frame: np.ndarray


def pose(name: str, side: int, rng: np.random.Generator) -> Hand:
    """Pose a hand that comes from one side.

    Args:
        name: one of `POSES`.
        side: -1 from the left of the photo, 1 from the right.
        rng: draws place, turn, spread and curl.
    """
    if name == "cover":
        stretch, turn = np.full(4, rng.uniform(0.75, 1.0)), rng.uniform(30, 75)
        anchor, goal = (0, -105), (rng.uniform(-6, 6), rng.uniform(66, 80))
    elif name == "rest":
        stretch, turn = np.full(4, rng.uniform(0.25, 0.4)), rng.uniform(0, 35)
        anchor, goal = (0, -80), (rng.uniform(-4, 14) * side, rng.uniform(84, 104))
    else:
        stretch, turn = np.array([1, 0.96, 0.35, 0.3]), rng.uniform(15, 50)
        anchor, goal = (-20, -138), (rng.uniform(-8, 8), rng.uniform(70, 78))
    bars = _bars(stretch, rng)
    angle, scale = -side * np.radians(turn), rng.uniform(0.9, 1.06)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.diag([side, 1.0])
    shift = np.array(goal) - linear @ np.array(anchor)
    return Hand(bars, np.hstack([linear, shift[:, None]]))


def _bars(stretch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the capsules of a hand whose fingers keep these shares (4,) of their length."""
    bars = [(0, 6, 25, 0, 60, 28, -9.0), (0, 60, 28, 0, 260, 42, -9.0)]
    spread = _SPREAD * rng.uniform(-0.1, 1.1) + rng.normal(0, 0.02, 4)
    for wrist, knuckle, length, share, angle in zip(
        _WRIST, _KNUCKLES, _LENGTHS, stretch, spread, strict=True
    ):
        bars.append((*wrist, 13, *knuckle, 11.5, 1.0))
        start, radius = knuckle, 9.9
        curl = 1 if share < 0.5 else 0
        for n, part in enumerate((0.45, 0.3, 0.25)):
            direction = angle + rng.normal(0, 0.03)
            step = length * share * part * np.array([np.sin(direction), -np.cos(direction)])
            end, thin = start + step, radius - (0.2 if curl else 0.9)
            bars.append((*start, radius, *end, thin, 3.0 - n * (1.5 if curl else 0.6)))
            start, radius = end, thin
    thumb = np.array([[-20, -20], [-46, -52], [-54, -76], [-56, -98]], float)
    thumb += rng.normal(0, 3, (4, 2)) * np.array([[0], [1], [2], [3]])
    for (start, end), radius in zip(pairwise(thumb), (14.0, 11.0, 9.5), strict=True):
        bars.append((*start, radius, *end, radius - 1.2, -1.0))
    return np.array(bars, float)


def render(hand: Hand, x: np.ndarray, y: np.ndarray) -> Surface:
    """Render a hand.

    Args:
        hand: to render.
        x: place of each pixel on the face in millimeters, (h, w).
        y: likewise, down.
    """
    inverse = np.linalg.inv(hand.frame[:, :2])
    px, py = (row[0] * (x - hand.frame[0, 2]) + row[1] * (y - hand.frame[1, 2]) for row in inverse)
    height = np.full(x.shape, -50.0)
    for x0, y0, r0, x1, y1, r1, z in hand.bars:
        dx, dy = x1 - x0, y1 - y0
        along = ((px - x0) * dx + (py - y0) * dy) / max(dx * dx + dy * dy, 1e-6)
        along = np.clip(along, 0, 1)
        away = (px - x0 - along * dx) ** 2 + (py - y0 - along * dy) ** 2
        radius = r0 + (r1 - r0) * along
        inside = radius**2 - away
        height = np.where(
            inside > 0, np.maximum(height, z + 0.8 * np.sqrt(np.maximum(inside, 0))), height
        )
    cover = (height > -49).astype(np.float32)
    return Surface(np.where(cover > 0, height, 0.0), cover, py - 6)


def smooth_height(surface: Surface, sigma: float) -> np.ndarray:
    """Return the height (h, w), blurred within the hand, as skin is over bones."""
    weight = cv2.GaussianBlur(surface.cover, (0, 0), sigma)
    blurred = cv2.GaussianBlur((surface.height * surface.cover).astype(np.float32), (0, 0), sigma)
    return blurred / np.maximum(weight, 1e-3)
