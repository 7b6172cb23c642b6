"""Drawing a mask on a portrait, from the five points that MTCNN finds.

A mask is a sheet in space over a mean face, in millimetres: origin between the eyes, x to the photo's right,
y down to the chin, z towards the camera. The five points fix the camera that takes this face to the photo, so
the sheet follows the tilt, scale, proportions and turn of the face; what then lies beyond the cheek stays unseen.
The light of the cloth is the photo's own, blurred, times that of the sheet's shape.
"""

from typing import NamedTuple

import cv2
import numpy as np

WAYS = ("worn", "nose", "chin")  # nose and mouth covered | under the nose | on the chin
KINDS = ("surgical", "cloth", "kn95", "pattern")

#: Left eye, right eye, nose tip, left and right corner of the mouth of the mean face; left as one sees the photo.
_FACE = np.array([[-32, 0, 0], [32, 0, 0], [0, 38, 30], [-26, 73, 4], [26, 73, 4]], float)
#: Upper edge in the middle and at the sides, lower edge in the middle and at the sides: y.
_EDGES = {"worn": (14, 37, 120, 92), "nose": (56, 51, 123, 97), "chin": (90, 88, 129, 110)}
_EARS = np.array([[70, 20, -75], [70, 44, -75]], float)  # where the loops of one side end
_ROWS, _COLUMNS = 28, 44  # patches the sheet is painted by
_WHITE, _BLUE, _BLACK = (236, 238, 240), (150, 196, 222), (38, 38, 42)
_OTHERS = (
    (196, 198, 200),
    (232, 184, 196),
    (170, 210, 190),
    (44, 58, 96),
    (214, 196, 170),
    (120, 30, 44),
)
#: Chances of white, light blue, black, one of the others and any color at all.
_CHANCES = {
    "surgical": (0.35, 0.40, 0.15, 0.10, 0.00),
    "cloth": (0.15, 0.05, 0.30, 0.25, 0.25),
    "kn95": (0.60, 0.05, 0.20, 0.15, 0.00),
    "pattern": (0.15, 0.10, 0.25, 0.25, 0.25),
}


class _Canvas(NamedTuple):
    """The part of the photo that is painted, `fine` times as fine as the photo: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int
    fine: int

    def polygon(self, points: np.ndarray) -> np.ndarray:
        """Photo coordinates as OpenCV takes them, in sixteenths of a fine pixel."""
        moved = (points - (self.x0, self.y0) + 0.5) * self.fine - 0.5
        return np.rint(moved * 16).astype(np.int32)

    def blank(self, channels: int) -> np.ndarray:
        return np.zeros(
            ((self.y1 - self.y0) * self.fine, (self.x1 - self.x0) * self.fine, channels), np.float32
        )

    def coarse(self, pixels: np.ndarray) -> np.ndarray:
        return cv2.resize(
            pixels, (self.x1 - self.x0, self.y1 - self.y0), interpolation=cv2.INTER_AREA
        )


def camera(points: np.ndarray) -> np.ndarray:
    """The affine camera (2, 4) that takes the mean face, in millimetres, to the five points (5, 2), in pixels.

    Least squares. Only the nose tells how far the face is turned, so the column of depth is drawn to zero.
    """
    model = np.hstack([_FACE, np.ones((5, 1))])
    solved = np.linalg.solve(
        model.T @ model + np.diag([0, 0, 120.0, 0]), model.T @ np.asarray(points, float)
    ).T
    depth, most = np.linalg.norm(solved[:, 2]), 0.6 * np.linalg.norm(solved[:, 1])
    solved[:, 2] *= min(1.0, most / max(depth, 1e-9))
    return solved


def frontal(points: np.ndarray) -> bool:
    """Whether a mask can be drawn: the nose stands between the eyes, the mouth below them, and they are apart."""
    left, right, nose, *mouth = np.asarray(points, float)
    across, down = right - left, np.mean(mouth, axis=0) - (left + right) / 2
    place = (nose - left) @ across / max(across @ across, 1e-9)
    turn = across[0] * down[1] - across[1] * down[0]
    return bool(0.05 < place < 0.95 and turn > max(0.2 * (across @ across), 0.35 * (down @ down)))


def _sheet(worn: str, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Corners of the patches (_ROWS + 1, _COLUMNS + 1, 3), from the upper edge down and from left to right."""
    u, v = np.meshgrid(np.linspace(-1, 1, _COLUMNS + 1), np.linspace(0, 1, _ROWS + 1))
    top, top_side, low, low_side = np.array(_EDGES[worn]) + rng.uniform(-2, 2, 4)
    slant = rng.uniform(-1.5, 1.5)
    upper = top + (top_side - top) * np.abs(u) ** 1.3 + slant * u
    lower = low + (low_side - low) * np.abs(u) ** 2.4 + slant * u
    y = upper + (lower - upper) * v
    half = np.interp(y, (10, 40, 75, 100, 115, 130), (65, 66, 61, 53, 48, 44)) * rng.uniform(
        0.97, 1.03
    )
    front = np.interp(y, (10, 38, 55, 75, 108, 130), (14, 38, 36, 28, 14, -8))
    angle = u * np.radians(67)
    z = -55 + (front + 55) * np.cos(angle)
    if kind == "kn95":  # two flat halves that meet at a ridge
        z += 14 * np.sin(np.pi * np.clip(v, 0.02, 0.98)) * np.clip(1 - np.abs(u) / 0.8, 0, 1)
    return np.stack([half * np.sin(angle), y, z], -1)


def _project(view: np.ndarray, space: np.ndarray) -> np.ndarray:
    return space @ view[:, :3].T + view[:, 3]


def _paint(view: np.ndarray, sheet: np.ndarray, size: tuple[int, int], light: np.ndarray):
    """Paint the sheet's patches that face the camera.

    Returns:
        The canvas, or None where the photo shows nothing of the sheet, and fine maps (h, w): u and v
        (place on the sheet, -1 to 1 and 0 to 1), shade (light of the shape) and cover (0 or 1).
    """
    flat = _project(view, sheet)
    ends = np.concatenate(
        [flat.reshape(-1, 2), *(_project(view, _EARS * (side, 1, 1)) for side in (-1, 1))]
    )
    pad = 12 * np.linalg.norm(view[:, 1])
    (x0, y0), (x1, y1) = (
        np.floor(ends.min(0) - pad).astype(int),
        np.ceil(ends.max(0) + pad).astype(int),
    )
    width = x1 - x0
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, size[0]), min(y1, size[1])
    if x0 >= x1 or y0 >= y1:
        return None, None
    canvas = _Canvas(x0, y0, x1, y1, int(np.clip(round(500 / max(width, 1)), 1, 4)))

    down, right = sheet[1:, :-1] - sheet[:-1, :-1], sheet[:-1, 1:] - sheet[:-1, :-1]
    normal = np.cross(right, down)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    shade = 0.72 + 0.3 * np.clip(normal @ light, -0.5, 1)
    corners = np.stack([flat[:-1, :-1], flat[:-1, 1:], flat[1:, 1:], flat[1:, :-1]], 2)
    edges = corners[:, :, 1] - corners[:, :, 0], corners[:, :, 3] - corners[:, :, 0]
    seen = edges[0][..., 0] * edges[1][..., 1] - edges[0][..., 1] * edges[1][..., 0] > 0
    u = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * 2 - 1
    v = (np.arange(_ROWS) + 0.5) / _ROWS
    maps, polygons = canvas.blank(4), canvas.polygon(corners)
    # The sides first: where the sheet hides itself, its middle is nearer to the camera.
    for j in np.argsort(-np.abs(u), kind="stable"):
        for i in np.flatnonzero(seen[:, j]):
            cv2.fillConvexPoly(
                maps, polygons[i, j], (u[j], v[i], float(shade[i, j]), 1.0), cv2.LINE_8, 4
            )
    cover = maps[..., 3].copy()
    # Patches are flat: blurred by half their size, weighted by the cover, their values flow into each other.
    sigma = max(0.5, 0.6 * canvas.fine * float(np.median(np.linalg.norm(edges[0], axis=-1))))
    maps = cv2.GaussianBlur(maps, (0, 0), sigma)
    u, v, shade = np.moveaxis(maps[..., :3] / np.maximum(maps[..., 3:], 1e-3), -1, 0)
    return canvas, (u, v, shade, cover)


def _color(kind: str, rng: np.random.Generator) -> np.ndarray:
    choice = rng.choice(5, p=_CHANCES[kind])
    other = _OTHERS[rng.integers(len(_OTHERS))]
    any_hue = rng.integers((0, 40, 60), (180, 200, 235)).astype(np.uint8)
    drawn = cv2.cvtColor(any_hue[None, None], cv2.COLOR_HSV2RGB)[0, 0]
    return np.array((_WHITE, _BLUE, _BLACK, other, tuple(drawn))[choice], float)


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((distance / width) ** 2))


def _cloth(
    kind: str, u: np.ndarray, v: np.ndarray, color: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The cloth's color (h, w, 3) at each place of the sheet, before any light."""
    wrinkles = cv2.resize(
        rng.normal(0, 1, (5, 7)).astype(np.float32), (70, 50), interpolation=cv2.INTER_CUBIC
    )
    at = ((u + 1) * 34.5).astype(np.float32), (v * 49).astype(np.float32)
    tint = 1 + 0.03 * cv2.remap(wrinkles, *at, cv2.INTER_LINEAR)
    hem = np.minimum(1 - np.abs(u), 1.6 * np.minimum(v, 1 - v))
    second, share = color, np.zeros_like(u)
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
    if kind == "pattern":
        second = _color("pattern", rng)
        if np.abs(second - color).sum() < 150:
            second = 255 - color
        period = rng.uniform(0.16, 0.34)
        across, along = u / period, 1.3 * v / period
        soft = [0.5 + 0.5 * np.tanh(5 * np.sin(2 * np.pi * w)) for w in (across, along)]
        dots = np.hypot(across % 1 - 0.5, along % 1 - 0.5)
        share = (0.5 - 0.5 * np.tanh(20 * (dots - 0.27)), soft[1], (soft[0] + soft[1]) / 2)[
            rng.integers(3)
        ]
    tint -= 0.10 * _line(hem - 0.07, 0.012) + 0.10 * _line(hem, 0.025)
    return (color + (second - color) * share[..., None]) * tint[..., None]


def _loops(view: np.ndarray, sheet: np.ndarray, canvas: _Canvas) -> np.ndarray:
    """Cover (h, w), fine, of the loops from the sheet's corners to the ears that the camera sees."""
    cover = canvas.blank(1)[..., 0]
    thick = max(1, round(2.2 * np.linalg.norm(view[:, 1]) * canvas.fine))
    for side, column in ((-1, 0), (1, -1)):
        for corner, ear in zip(
            (sheet[1, column], sheet[-2, column]), _EARS * (side, 1, 1), strict=True
        ):
            line = corner + (ear - corner) * np.linspace(0, 1, 13)[:, None]
            line[:, 0] += side * 3 * np.sin(np.pi * np.linspace(0, 1, 13))  # round the cheek
            flat = _project(view, line)
            if (flat[-1] - flat[0]) @ view[:, 0] * side <= 0:
                continue  # behind the cheek
            # They fade out towards the ears, which hair may hide.
            for n, share in enumerate(np.interp(np.arange(12), (5, 12), (1.0, 0.0))):
                piece = canvas.polygon(flat[n : n + 2])
                cv2.line(
                    cover,
                    tuple(piece[0].tolist()),
                    tuple(piece[1].tolist()),
                    float(share),
                    thick,
                    cv2.LINE_8,
                    4,
                )
    return cover


def _light(grey: np.ndarray, cover: np.ndarray, scale: float) -> np.ndarray:
    """Light (h, w) on the cloth, from the photo's grey values (0 to 255) around it; `scale` in px a millimetre."""
    soft = cv2.GaussianBlur(grey, (0, 0), max(1.0, 22 * scale), borderType=cv2.BORDER_REPLICATE)
    mean = max(float((soft * cover).sum() / max(cover.sum(), 1e-3)), 1.0)
    level = np.clip(np.percentile(grey, 95) / 205, 0.5, 1.05)
    return level * np.clip(soft / mean, 0.5, 1.6) ** 0.7


def draw(photo: np.ndarray, points: np.ndarray, worn: str, seed: int) -> np.ndarray:
    """Draw a mask on a face.

    Args:
        photo: uint8 (H, W, 3), RGB; it is left as it is.
        points: (5, 2), x and y in pixels: left eye, right eye, nose tip, left and right corner of the mouth, as
            one sees them in the photo (MTCNN's order).
        worn: one of `WAYS`.
        seed: draws kind, color, fit and light; same arguments, same bytes.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: another `worn`, or points that are not those of a `frontal` face.
    """
    if worn not in WAYS:
        raise ValueError(f"worn {worn!r} must be one of {list(WAYS)}")
    if not (np.isfinite(points).all() and frontal(points)):
        raise ValueError(
            f"points {np.asarray(points).tolist()} are not those of a face seen from the front"
        )
    rng = np.random.default_rng([seed, WAYS.index(worn)])
    kind = KINDS[rng.choice(len(KINDS), p=(0.45, 0.2, 0.2, 0.15))]
    color = _color(kind, rng)
    view, sheet = camera(points), _sheet(worn, kind, rng)
    direction = np.array([rng.uniform(-0.5, 0.5), -0.45, 0.8])
    canvas, maps = _paint(
        view, sheet, (photo.shape[1], photo.shape[0]), direction / np.linalg.norm(direction)
    )
    if canvas is None:
        return photo.copy()
    u, v, shade, fine_cover = maps
    cloth = _cloth(kind, u, v, color, rng) * shade[..., None]
    cover = canvas.coarse(fine_cover)[..., None]
    cloth = canvas.coarse(cloth.astype(np.float32) * fine_cover[..., None]) / np.maximum(
        cover, 1e-3
    )
    loops = canvas.coarse(_loops(view, sheet, canvas))[..., None]

    scale = float(np.linalg.norm(view[:, 1]))
    part = np.s_[canvas.y0 : canvas.y1, canvas.x0 : canvas.x1]
    under = photo[part].astype(np.float32)
    light = _light(
        cv2.cvtColor(photo[part], cv2.COLOR_RGB2GRAY).astype(np.float32), cover[..., 0], scale
    )[..., None]
    string = (
        np.minimum(color * 0.6 + 95, 240)
        if kind in ("surgical", "kn95") and color.sum() > 200
        else color
    )
    shift = np.hstack([np.eye(2), 2.5 * view[:, 1:2]])  # shadow falls towards the chin
    shadow = cv2.warpAffine(cover[..., 0], shift, (cover.shape[1], cover.shape[0]))
    under *= 1 - 0.35 * cv2.GaussianBlur(shadow, (0, 0), max(0.5, 2.5 * scale))[..., None]
    under += (string * light * 0.9 - under) * loops
    drawn = photo.copy()
    drawn[part] = np.rint(np.clip(under + (cloth * light - under) * cover, 0, 255)).astype(np.uint8)
    return drawn
