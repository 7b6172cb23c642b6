import platform
import subprocess
import sys

import pytest
import torch

from portrait18.core.device import set_deterministic

FAULTS = """
import resource, sys
from portrait18.core.device import tune_malloc
held = tune_malloc() if sys.argv[1] == "hold" else None
import torch
def step():
    return sum(torch.ones(n, 1024, 1024).sum() for n in (4, 40))  # 16 MB and 160 MB
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(held, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are the GNU C library's"
)
def test_held_memory_is_not_fetched_from_the_system_again():
    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, how], text=True, capture_output=True, check=True
        )
        held, count = done.stdout.split()
        return held, int(count)

    held, few = faults("hold")
    _, many = faults("plain")
    assert held == "True"
    assert few < 0.1 * many


def test_equal_runs_are_asked_for_without_writing_new_tensors_twice():
    set_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
