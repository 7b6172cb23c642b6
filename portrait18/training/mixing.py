"""Mixing methods by name: each photo of a batch is mixed with another one, and so are the targets.

See `portrait18.models.registry` for how to add one. timm's Mixup and torchvision's MixUp and CutMix
draw from a global random state, and mix neither within a class nor targets that are years.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from portrait18.core.variants import MixParams, NoMix
from portrait18.models.registry import Registry

#: (photos, partners, params, rng) -> mixed photos and the fraction kept of the original ones.
Mix = Callable[[torch.Tensor, torch.Tensor, Any, np.random.Generator], tuple[torch.Tensor, float]]

MIXES: Registry[Mix] = Registry("mix")


@MIXES.register("mixup")
def mixup(photos, partners, params, rng):
    """Return the weighted sum of two photos (Zhang et al. 2018)."""
    kept = float(rng.beta(params.alpha, params.alpha))
    return photos.float() * kept + partners.float() * (1 - kept), kept


@MIXES.register("cutmix")
def cutmix(photos, partners, params, rng):
    """Paste a square of the partner at a random position (Yun et al. 2019)."""
    size = photos.shape[2]
    side = round(size * np.sqrt(1 - float(rng.beta(params.alpha, params.alpha))))
    y, x = rng.integers(0, size - side + 1, 2)
    mixed = photos.clone()
    mixed[:, :, y : y + side, x : x + side] = partners[:, :, y : y + side, x : x + side]
    return mixed, 1 - (side / size) ** 2


@MIXES.register("halves")
def halves(photos, partners, params, rng):
    """Replace the left or right half by the partner's: each keeps an eye and half of a mask."""
    rng.beta(0.4, 0.4)  # unused; keeps the random draws of the results in reports/ledger.md
    mixed, center = photos.clone(), photos.shape[3] // 2
    side = slice(center, None) if rng.random() < 0.5 else slice(0, center)
    mixed[:, :, :, side] = partners[:, :, :, side]
    return mixed, 0.5


def mix(
    photos: torch.Tensor, targets: torch.Tensor, classes: np.ndarray, params: MixParams, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each photo of a batch with another one of it.

    Args:
        photos: uint8 (N, 3, S, S), on any device.
        targets: float (N, ...), class probabilities or years.
        classes: int (N,), class of each photo. With `partner: class` partners have the same class,
            which makes new photos of a class without mixing its labels.
        params: the batch is mixed with `probability`. Mixup and CutMix keep a fraction drawn from
            Beta(alpha, alpha).
        seed: all draws depend on it alone.

    Returns:
        Mixed photos, uint8 (float for mixup), and the targets mixed in the same proportion.
    """
    if isinstance(params, NoMix):
        return photos, targets
    rng = np.random.default_rng(seed)
    if rng.random() >= params.probability:
        return photos, targets
    order = rng.permutation(len(photos))
    if params.partner == "class":
        # The n-th photo of a class gets the n-th of that class in the drawn order as its partner.
        by_class = np.argsort(classes, kind="stable")
        order[by_class] = order[np.argsort(classes[order], kind="stable")]
    partners = torch.from_numpy(order).to(photos.device)
    mixed, kept = MIXES[params.name](photos, photos[partners], params, rng)
    return mixed, targets * kept + targets[partners] * (1 - kept)
