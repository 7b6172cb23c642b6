"""Which training photos an epoch sees, and in what order; drawn from (seed, epoch) alone."""

import numpy as np

from portrait18.params import SamplingParams


def epoch_order(people: np.ndarray, targets: np.ndarray, params: SamplingParams, seed: int, epoch: int) -> np.ndarray:
    """Positions into the training photos, in the order in which an epoch shows them.

    Args:
        people: (N,) id of the person on each photo.
        targets: (N,) int class of each photo, which `balance` evens out.
        params: `per_person` photos of each person are drawn without repetition (0: all of them);
            then, with `balance` b > 0, as many photos are drawn with repetition, each with a
            probability proportional to (size of its class) ** -b.

    Returns:
        int64, of length N, or fewer with `per_person`.
    """
    rng = np.random.default_rng([seed, epoch, 0x5A])
    chosen = rng.permutation(len(people))
    if params.per_person:
        _, person = np.unique(people, return_inverse=True)
        by_person = chosen[np.argsort(person[chosen], kind="stable")]  # still shuffled within each person
        sizes = np.bincount(person)
        rank = np.arange(len(people)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chosen = rng.permutation(by_person[rank < params.per_person])
    if params.balance:
        of_class = targets[chosen]
        weight = np.bincount(of_class)[of_class].astype(float) ** -params.balance
        chosen = rng.choice(chosen, len(chosen), p=weight / weight.sum())
    return chosen
