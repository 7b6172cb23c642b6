"""Portable arithmetic, in processes of its own: it changes PyTorch for a whole process."""

import os
import subprocess
import sys

import pytest
from synthetic import REPO


def run(program: str) -> str:
    command = [sys.executable, "-c", "from portrait18.core import arithmetic\n" + program]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_threads_of_pytorch_follow_the_params():
    program = (
        "arithmetic.set_environment('portable', 3)\nimport torch\nprint(arithmetic.description())"
    )
    assert run(program) == "['portable', 3]"
    assert run(program.replace("portable", "native")) == "['native', 3]"


def test_a_numerical_package_that_is_imported_already_is_an_error():
    program = """
import numpy
try:
    arithmetic.set_environment("portable", 1)
except RuntimeError as error:
    print(error)
"""
    assert run(program) == "numpy imported before the arithmetic was chosen"


def test_replaced_kernels_agree_with_those_of_pytorch():
    program = """
import torch
names = ("sqrt", "log", "log2", "log10", "tan", "asin", "acos", "atan")
values = torch.rand(40, 30) * 0.9 + 0.05
strided = values.T[::2]
expected = {name: getattr(torch, name)(values) for name in names}
expected_strided = {name: getattr(torch, name)(strided) for name in names}
power, square = values**0.5, values**2
integers, empty = torch.arange(1, 5).sqrt(), torch.empty(0)
arithmetic.replace_kernels()
for name in names:
    operation = getattr(torch, name)
    torch.testing.assert_close(operation(values), expected[name])
    torch.testing.assert_close(operation(strided), expected_strided[name])
    torch.testing.assert_close(operation(values, out=torch.empty(0)), expected[name])
    torch.testing.assert_close(getattr(values.clone(), f"{name}_")(), expected[name])
    (result,) = getattr(torch, f"_foreach_{name}")([values])
    assert torch.equal(result, operation(values))
assert torch.equal(values**2, square)
torch.testing.assert_close(values**0.5, power)
assert torch.equal(values.clone().pow_(0.5), values.sqrt())
torch.testing.assert_close(torch.arange(1, 5).sqrt(), integers)
assert values.bfloat16().sqrt().dtype == torch.bfloat16
assert torch.tensor(-1.0).sqrt().isnan()
variable = torch.tensor(4.0, requires_grad=True)
variable.sqrt().backward()
assert variable.grad == 0.25
print("done")
"""
    assert run(program) == "done"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process has one core")
def test_the_number_of_cores_does_not_change_the_results():
    program = """
import hashlib, os, sys
arithmetic.set_environment("portable", 2)
if {one_core}:
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
import numpy as np, torch
values = np.random.default_rng(0).random((300, 300), np.float32)
photos = torch.rand(8, 32, 48, 48, generator=torch.Generator().manual_seed(0))
weights = torch.ones(64, 32, 3, 3, requires_grad=True)
torch.nn.functional.conv2d(photos, weights).square().mean().backward()
tensor = torch.from_numpy(values)
results = (values @ values, (tensor @ tensor).numpy(), weights.grad.numpy())
print(torch.get_num_threads(), *(hashlib.md5(result.tobytes()).hexdigest() for result in results))
"""
    assert run(program.format(one_core=True)) == run(program.format(one_core=False))
