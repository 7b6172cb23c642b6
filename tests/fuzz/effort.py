"""Number of inputs of the fuzz tests: fixed ones, or with FUZZ=30 thirty times as many random ones.

FUZZ=30 python -m pytest tests/fuzz
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ", "0"))
_PROFILE = settings(
    derandomize=not TIMES,
    deadline=None,  # machines are busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def tries(count: int) -> settings:
    """Decorate a test to try `count` inputs, times FUZZ if it is set."""
    return settings(_PROFILE, max_examples=count * max(TIMES, 1))
