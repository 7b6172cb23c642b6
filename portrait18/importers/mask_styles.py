"""What a drawn mask is: its kind, colors, fit and straps.

Networks that see one kind of mask learn its drawing instead of masks. A mask is therefore drawn
from a `Variety`, which lists how often each kind, fit and way of wearing occurs.
"""

from dataclasses import dataclass

import cv2
import numpy as np

#: Kind -> probabilities of white, light blue, black, one of `_OTHERS`, and any color.
COLORS = {
    "surgical": (0.30, 0.38, 0.17, 0.15, 0.00),
    "cloth": (0.15, 0.05, 0.35, 0.25, 0.20),  # sewn, with or without a seam in the middle
    "foam": (0.10, 0.00, 0.55, 0.30, 0.05),  # molded polyurethane without a hem
    "kn95": (0.65, 0.05, 0.20, 0.10, 0.00),  # FFP2 or KN95: two halves meet at a ridge
    "kf94": (0.60, 0.00, 0.30, 0.10, 0.00),  # three panels, two folds across
    "pattern": (0.15, 0.10, 0.25, 0.25, 0.25),
    "transparent": (0.60, 0.10, 0.25, 0.05, 0.00),  # a clear window; the color is the rim's
}
KINDS = tuple(COLORS)
#: nose and mouth covered | under the nose | under the lips | on the chin | hanging from one ear
WAYS = ("worn", "nose", "lips", "chin", "ear")
OCCLUDERS = ("hand", "scarf")  # in front of a face without a mask

_WHITE, _BLUE, _BLACK = (236, 238, 240), (150, 196, 222), (38, 38, 42)
_OTHERS = (
    (196, 198, 200),
    (232, 184, 196),
    (170, 210, 190),
    (44, 58, 96),
    (214, 196, 170),
    (120, 30, 44),
    (110, 112, 116),
)
STRAPS = ("ears", "head", "hidden")  # loops | bands around the head | under the hair
_STRAP_PROBABILITIES = (0.68, 0.12, 0.20)


@dataclass(frozen=True)
class Variety:
    """How often each drawing occurs.

    Attributes:
        kinds: probability of each of `KINDS`.
        incorrect: probabilities of `WAYS[1:]` in the photo of a mask worn incorrectly.
        occluded: share of the photos without a mask in which a hand or a scarf is drawn.
        spread: how much fit, wrinkles and straps vary; 1: as on real people, 0.3: little.
    """

    kinds: tuple[float, ...]
    incorrect: tuple[float, ...]
    occluded: float
    spread: float


#: Values of the option --masks.
VARIETIES = {
    "varied": Variety((0.37, 0.12, 0.12, 0.14, 0.12, 0.10, 0.03), (0.4, 0.2, 0.3, 0.1), 0.3, 1.0),
    "simple": Variety((0.45, 0.20, 0.0, 0.20, 0.0, 0.15, 0.0), (0.6, 0.4, 0.0, 0.0), 0.0, 0.3),
}


@dataclass(frozen=True)
class Style:
    """One mask.

    Attributes:
        kind: one of `KINDS`.
        color: of the cloth, RGB, 0 to 255, shape (3,).
        straps: one of `STRAPS`.
        strap_width: millimeters.
        looseness: 0 tight to 1 loose: gaps at the cheeks, a low chin, wavy edges.
        wrinkles: contrast of wrinkles, 0 to 0.1.
        valve: whether a round valve is on one side.
        spread: of the variety.
    """

    kind: str
    color: np.ndarray
    straps: str
    strap_width: float
    looseness: float
    wrinkles: float
    valve: bool
    spread: float


def draw_style(variety: Variety, worn: str, rng: np.random.Generator) -> Style:
    """Draw a style from a variety for one of `WAYS`."""
    kind = KINDS[rng.choice(len(KINDS), p=variety.kinds)]
    if kind == "transparent" and worn not in ("worn", "nose"):
        kind = "surgical"  # little of a clear window can be seen on chin or neck
    straps = STRAPS[rng.choice(3, p=_STRAP_PROBABILITIES)]
    varied = variety.spread == 1
    return Style(
        kind=kind,
        color=draw_color(kind, rng),
        straps=straps if varied else "ears",
        strap_width=2.2 + variety.spread * rng.uniform(-1.0, 2.2),
        looseness=variety.spread * rng.random(),
        wrinkles=0.03 + 0.07 * variety.spread * rng.random() ** 2,
        valve=bool(varied and kind in ("kn95", "cloth") and rng.random() < 0.25),
        spread=variety.spread,
    )


def draw_color(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a color (3,) that suits the kind, RGB, 0 to 255."""
    choice = rng.choice(5, p=COLORS[kind])
    other = _OTHERS[rng.integers(len(_OTHERS))]
    any_hue = rng.integers((0, 40, 60), (180, 200, 235)).astype(np.uint8)
    drawn = cv2.cvtColor(any_hue[None, None], cv2.COLOR_HSV2RGB)[0, 0]
    color = np.array((_WHITE, _BLUE, _BLACK, other, tuple(drawn))[choice], float)
    return np.clip(color + rng.normal(0, 6, 3), 15, 245)


def strap_color(style: Style) -> np.ndarray:
    """Return the color of the straps: nearly white on light disposable masks, else the mask's."""
    if style.kind in ("surgical", "kn95", "kf94") and style.color.sum() > 200:
        return np.minimum(style.color * 0.6 + 95, 240)
    return style.color
