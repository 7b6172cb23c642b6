"""How hard the fuzz tests try: the same inputs in every run of the suite; FUZZ=30 tries 30 times as many, at random.

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
    """Decorator: so many inputs in the suite, `FUZZ` times as many when asked for."""
    return settings(_PROFILE, max_examples=count * max(TIMES, 1))
