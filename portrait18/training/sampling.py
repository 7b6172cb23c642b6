"""Which training photos an epoch uses, and in what order."""

import numpy as np
import pandas as pd

from portrait18.core.model_params import SamplingParams
from portrait18.dataset.classes import MASK

#: The order in which `photos: by_mask` takes a person's photos.
MASK_TURNS = ("none", "worn", "incorrect")


def epoch_order(
    labels: pd.DataFrame, classes: np.ndarray, params: SamplingParams, seed: int, epoch: int
) -> np.ndarray:
    """Return indices into the training photos in the order of an epoch.

    Args:
        labels: `person` and `mask` of each photo, N rows.
        classes: class of each photo in the model's task, int (N,).
        params: the steps, in this order:
            `per_person`: draw this many photos of each person without replacement (0: all);
            `photos` by_mask: draw them from the mask classes in turn, in the order of `MASK_TURNS`,
            without those of which no photo is left;
            `ratios`: draw from each class without replacement so that the classes have these
            ratios, as many as the scarcest class allows (undersampling);
            `repeat`: repeat each photo of a class this many times (oversampling);
            `balance` b > 0: draw as many photos as there are with replacement, with probabilities
            proportional to `class_weights`.
        seed: seed of the run.
        epoch: number of the epoch. All draws depend on (seed, epoch) alone.

    Returns:
        int64; of length N if no step changes it.
    """
    rng = np.random.default_rng([seed, epoch, 0x5A])
    chosen = rng.permutation(len(labels))
    if params.per_person:
        _, person = np.unique(labels.person.to_numpy(), return_inverse=True)
        by_mask = params.photos == "by_mask"
        masks = labels["mask"].to_numpy()[chosen] if by_mask else None
        chosen = chosen[_person_rank(person[chosen], masks) < params.per_person]
    if params.ratios:
        ratios = np.array(params.ratios)
        counts = np.bincount(classes[chosen], minlength=len(ratios))
        # A class without photos is left out; the others keep their ratios.
        scale = min(counts[counts > 0] / ratios[counts > 0])
        quotas = (scale * ratios + 1e-9).astype(int)
        chosen = chosen[_rank_within(classes[chosen]) < quotas[classes[chosen]]]
    if params.repeat:
        chosen = rng.permutation(np.repeat(chosen, np.array(params.repeat)[classes[chosen]]))
    if params.balance:
        weights = class_weights(classes[chosen], params.balance)
        chosen = rng.choice(chosen, len(chosen), p=weights / weights.sum())
    return chosen


def class_weights(classes: np.ndarray, balance: float) -> np.ndarray:
    """Return (size of its class) ** -balance for each photo, divided by their mean, float64 (N,).

    Args:
        classes: int (N,).
        balance: 0 gives all photos the weight 1; 1 all classes the same sum.
    """
    weights = np.bincount(classes)[classes].astype(float) ** -balance
    return weights / weights.mean()


def _person_rank(people: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Return when each photo's turn among those of its person is, int (N,).

    Args:
        people: index of the person on each photo, int (N,).
        masks: mask class of each photo, int (N,), for turns by mask class; None: as they stand.
    """
    if masks is None:
        return _rank_within(people)
    turn = np.array([MASK_TURNS.index(name) for name in MASK.classes])[masks]
    photos_before = _rank_within(people * len(MASK_TURNS) + turn)
    order = np.lexsort((turn, photos_before))
    rank = np.empty(len(people), np.int64)
    rank[order] = _rank_within(people[order])
    return rank


def _rank_within(groups: np.ndarray) -> np.ndarray:
    """Return how many elements of the same group precede each element, int (N,)."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
