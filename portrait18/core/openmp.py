"""How PyTorch's threads wait for each other on a CPU."""

import os

#: Rounds of a loop that a thread waits in before it sleeps. GNU's OpenMP, which PyTorch uses, waits
#: for 300,000. While another program has one of the cores, threads then spend nearly all of their
#: time waiting: an epoch with two threads took 53 s instead of 3 s (docs/performance.md).
SPIN_COUNT = "1000"
#: Variables by which users choose for themselves.
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def shorten_waits() -> None:
    """Let idle threads sleep soon, unless the environment says how they wait.

    OpenMP reads the variable when PyTorch is imported, so this must come before.
    """
    if not any(name in os.environ for name in CHOICES):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
