"""Device selection, deterministic kernels, and memory allocation of PyTorch."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from portrait18.core import arithmetic

#: Parameters of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def device() -> torch.device:
    """Return the GPU that torchrun assigns to this process (else the first), or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def set_deterministic() -> None:
    """Use deterministic kernels, and portable ones if the process started with portable arithmetic.

    PyTorch warns about CUDA operations that have no deterministic kernel.
    """
    if arithmetic.is_portable():
        arithmetic.replace_kernels()
    # Without it, the order in which cuBLAS sums depends on timing.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # `use_deterministic_algorithms` would also import TorchInductor, which takes seconds.
    torch.set_deterministic_debug_mode("warn")
    # On by default in deterministic mode: it fills every new tensor, to reveal reads of
    # uninitialized memory, and so writes each tensor twice.
    # (PyTorch replaces the module's class to define this attribute, which mypy cannot see.)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute convolutions in float32 on GPUs, not in TF32, which is PyTorch's default.

    TF32 keeps 10 of 23 bits of the mantissa: on an H100 it moved MTCNN's boxes by up to 19 pixels.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def tune_malloc() -> bool:
    """Keep freed memory in the process instead of returning it to the system.

    A training step on the CPU frees and allocates the same gigabyte again and again, and the
    system clears every page of it each time: a fifth of a training step's time, and a third of
    face detection's.

    Returns:
        Whether the settings were made; only the GNU C library has them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # One arena for all threads, which never shrinks, grows by 256 MB and also serves the largest
    # allocations.
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28), (_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
