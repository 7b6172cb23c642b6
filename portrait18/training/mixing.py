"""Mixing photos within a batch, and what is told of them in the same shares; on the device, drawn from a seed."""

from collections.abc import Callable

import numpy as np
import torch

from portrait18.core.model_params import MixParams

#: (photos, partners, share of the photo that stays, rng) -> mixed photos and the share that did stay.
Mix = Callable[[torch.Tensor, torch.Tensor, float, np.random.Generator], tuple[torch.Tensor, float]]


def mixup(photos, partners, share, rng):
    """Weighted sum of two photos, Zhang et al. 2018."""
    return photos.float() * share + partners.float() * (1 - share), share


def cutmix(photos, partners, share, rng):
    """A rectangle of the partner pasted in, Yun et al. 2019; its place is drawn, its shape the photo's."""
    size = photos.shape[2]
    side = int(round(size * np.sqrt(1 - share)))
    y, x = rng.integers(0, size - side + 1, 2)
    mixed = photos.clone()
    mixed[:, :, y : y + side, x : x + side] = partners[:, :, y : y + side, x : x + side]
    return mixed, 1 - (side / size) ** 2


def halves(photos, partners, share, rng):
    """Left half of one, right half of the other: each keeps an eye, half a nose, half a mask."""
    mixed, middle = photos.clone(), photos.shape[3] // 2
    side = slice(middle, None) if rng.random() < 0.5 else slice(0, middle)
    mixed[:, :, :, side] = partners[:, :, :, side]
    return mixed, 0.5


METHODS: dict[str, Mix] = {"mixup": mixup, "cutmix": cutmix, "halves": halves}


def mix(
    photos: torch.Tensor, told: torch.Tensor, classes: np.ndarray, params: MixParams, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each photo of a batch with another one of it.

    Args:
        photos: uint8 (N, 3, S, S).
        told: float (N, ...), what the loss compares with: class shares, or years.
        classes: int (N,), class of each photo; with `partner: class` it is mixed with one of its own class
            only, which makes new photos of a class without blurring what they are (oversampling).
        params: with `probability` the batch is mixed; the share that stays is drawn from
            Beta(alpha, alpha), except for `halves`.
        seed: all draws depend on it alone.

    Returns:
        Photos (uint8, or float for mixup) and what to tell of them.
    """
    if params.method == "none":
        return photos, told
    rng = np.random.default_rng(seed)
    if rng.random() >= params.probability:
        return photos, told
    order = rng.permutation(len(photos))
    if params.partner == "class":
        # The n-th of a class in the batch's order gets the n-th of that class in the drawn order.
        by_class = np.argsort(classes, kind="stable")
        order[by_class] = order[np.argsort(classes[order], kind="stable")]
    order = torch.from_numpy(order).to(photos.device)
    share = float(rng.beta(params.alpha, params.alpha))
    photos, share = METHODS[params.method](photos, photos[order], share, rng)
    return photos, told * share + told[order] * (1 - share)
