"""Draw a mask on a portrait, from the five points that MTCNN finds.

The light on the cloth is the photo's own, blurred, times the shading of the sheet's shape.
"""

import cv2
import numpy as np

from portrait18.importers import mask_cloth, mask_geometry
from portrait18.importers.mask_geometry import EARS, WAYS, Canvas, is_frontal, project


def draw(photo: np.ndarray, points: np.ndarray, worn: str, seed: int) -> np.ndarray:
    """Draw a mask on a face.

    Args:
        photo: uint8 (H, W, 3), RGB; it is not changed.
        points: (5, 2), x and y in pixels: left eye, right eye, nose tip, left and right corner of
            the mouth, as seen in the photo (MTCNN's order).
        worn: one of `WAYS`.
        seed: draws kind, color, fit and light. The same arguments give the same bytes.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: Another `worn`, or points for which `is_frontal` is false.
    """
    if worn not in WAYS:
        raise ValueError(f"worn {worn!r} must be one of {list(WAYS)}")
    if not (np.isfinite(points).all() and is_frontal(points)):
        raise ValueError(f"points {np.asarray(points).tolist()} are not those of a frontal face")
    rng = np.random.default_rng([seed, WAYS.index(worn)])
    kind = mask_cloth.draw_kind(rng)
    color = mask_cloth.draw_color(kind, rng)
    view = mask_geometry.camera(points)
    corners = mask_geometry.sheet(worn, kind == "kn95", rng)
    light = np.array([rng.uniform(-0.5, 0.5), -0.45, 0.8])
    canvas = mask_geometry.make_canvas(view, corners, (photo.shape[1], photo.shape[0]))
    if canvas is None:
        return photo.copy()
    maps = mask_geometry.paint(view, corners, canvas, light / np.linalg.norm(light))
    cloth = mask_cloth.cloth(kind, maps.u, maps.v, color, rng) * maps.shade[..., None]
    cover = canvas.shrink(maps.cover)[..., None]
    cloth = canvas.shrink(cloth.astype(np.float32) * maps.cover[..., None]) / np.maximum(
        cover, 1e-3
    )
    straps = canvas.shrink(_straps(view, corners, canvas))[..., None]

    part = photo[canvas.region]
    scale = float(np.linalg.norm(view[:, 1]))
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lit = _light(gray, cover[..., 0], scale)[..., None]
    under = part.astype(np.float32) * _shadow(view, cover[..., 0], scale)
    under += (mask_cloth.strap_color(kind, color) * lit * 0.9 - under) * straps
    drawn = photo.copy()
    drawn[canvas.region] = np.rint(np.clip(under + (cloth * lit - under) * cover, 0, 255)).astype(
        np.uint8
    )
    return drawn


def _straps(view: np.ndarray, corners: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Return the cover (h, w), fine, of the visible straps from the sheet's corners to the ears."""
    cover = canvas.blank(1)[..., 0]
    thick = max(1, round(2.2 * np.linalg.norm(view[:, 1]) * canvas.fine))
    for side, column in ((-1, 0), (1, -1)):
        ends = (corners[1, column], corners[-2, column])
        for corner, ear in zip(ends, EARS * (side, 1, 1), strict=True):
            line = corner + (ear - corner) * np.linspace(0, 1, 13)[:, None]
            line[:, 0] += side * 3 * np.sin(np.pi * np.linspace(0, 1, 13))  # around the cheek
            flat = project(view, line)
            if (flat[-1] - flat[0]) @ view[:, 0] * side <= 0:
                continue  # behind the cheek
            # Straps fade out towards the ears, because hair may hide them.
            for n, share in enumerate(np.interp(np.arange(12), (5, 12), (1.0, 0.0))):
                start, end = canvas.to_fixed_point(flat[n : n + 2]).tolist()
                cv2.line(cover, start, end, float(share), thick, cv2.LINE_8, 4)
    return cover


def _light(gray: np.ndarray, cover: np.ndarray, scale: float) -> np.ndarray:
    """Return the light (h, w) on the cloth.

    Args:
        gray: the photo's gray values around it, 0 to 255.
        cover: share of each pixel that the cloth covers.
        scale: pixels per millimeter.
    """
    soft = cv2.GaussianBlur(gray, (0, 0), max(1.0, 22 * scale), borderType=cv2.BORDER_REPLICATE)
    mean = max(float((soft * cover).sum() / max(cover.sum(), 1e-3)), 1.0)
    level = np.clip(np.percentile(gray, 95) / 205, 0.5, 1.05)
    return level * np.clip(soft / mean, 0.5, 1.6) ** 0.7


def _shadow(view: np.ndarray, cover: np.ndarray, scale: float) -> np.ndarray:
    """Return the brightness (h, w, 1) of the skin under the shadow, which falls to the chin."""
    shift = np.hstack([np.eye(2), 2.5 * view[:, 1:2]])
    shadow = cv2.warpAffine(cover, shift, (cover.shape[1], cover.shape[0]))
    return 1 - 0.35 * cv2.GaussianBlur(shadow, (0, 0), max(0.5, 2.5 * scale))[..., None]
