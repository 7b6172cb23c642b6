import platform
import subprocess
import sys

import pytest
import torch

from portrait18.core.device import full_precision, set_deterministic

FAULTS = """
import resource, sys
from portrait18.core.device import tune_malloc
tuned = tune_malloc() if sys.argv[1] == "tuned" else None
import torch
def step():
    return sum(torch.ones(n, 1024, 1024).sum() for n in (4, 40))  # 16 MB and 160 MB
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = []
for _ in range(8):
    before = faults()
    step()
    counts.append(faults() - before)
print(tuned, min(counts))
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only the GNU C library has the settings"
)
def test_tuned_malloc_does_not_fetch_memory_from_the_system_again():
    # The least of several steps: the heap may grow in the first ones.
    def faults(mode):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, mode], text=True, capture_output=True, check=True
        )
        tuned, count = done.stdout.split()
        return tuned, int(count)

    tuned, few = faults("tuned")
    _, many = faults("default")
    assert tuned == "True"
    assert few < 0.1 * many


def test_deterministic_mode_does_not_fill_new_tensors():
    set_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_full_precision_switches_tf32_off_and_back():
    before = torch.backends.cudnn.allow_tf32
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
