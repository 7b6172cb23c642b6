"""Which training photos an epoch sees, and in what order; drawn from (seed, epoch) alone."""

import numpy as np

from portrait18.core.model_params import SamplingParams


def epoch_order(
    people: np.ndarray, targets: np.ndarray, params: SamplingParams, seed: int, epoch: int
) -> np.ndarray:
    """Positions into the training photos, in the order in which an epoch shows them.

    Args:
        people: (N,) id of the person on each photo.
        targets: (N,) int class of each photo, which `balance` evens out.
        params: the steps, in this order:
            `per_person` photos of each person are drawn without repetition (0: all of them);
            `ratios`: of each class so many are drawn without repetition that the classes stand in
            these ratios, as many as the scarcest allows (undersampling);
            `repeat`: each photo of a class comes so many times (oversampling);
            `balance` b > 0: as many photos as there are now are drawn with repetition, each with a
            probability proportional to (size of its class) ** -b.

    Returns:
        int64; of length N where no step changes it.
    """
    rng = np.random.default_rng([seed, epoch, 0x5A])
    chosen = rng.permutation(len(people))
    if params.per_person:
        _, person = np.unique(people, return_inverse=True)
        chosen = chosen[_rank_within(person[chosen]) < params.per_person]
    if params.ratios:
        wanted = np.array(params.ratios)
        there = np.bincount(targets[chosen], minlength=len(wanted))
        # A class without photos can't be had in any ratio: the others keep theirs.
        each = (min(there[there > 0] / wanted[there > 0]) * wanted + 1e-9).astype(int)
        chosen = chosen[_rank_within(targets[chosen]) < each[targets[chosen]]]
    if params.repeat:
        chosen = rng.permutation(np.repeat(chosen, np.array(params.repeat)[targets[chosen]]))
    if params.balance:
        of_class = targets[chosen]
        weight = np.bincount(of_class)[of_class].astype(float) ** -params.balance
        chosen = rng.choice(chosen, len(chosen), p=weight / weight.sum())
    return chosen


def _rank_within(groups: np.ndarray) -> np.ndarray:
    """How many of its own group come before each element, int (N,)."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
