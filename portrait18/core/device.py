"""Where the networks run, how to make them repeat themselves, and how to keep their memory."""

import ctypes
import os

import torch

#: mallopt's names for its settings, malloc.h of the GNU C library.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def device() -> torch.device:
    """The GPU if there is one, of several the one that torchrun means for this process; else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def set_deterministic() -> None:
    """Make equal runs on one machine give equal bytes; where CUDA has no such kernel, PyTorch warns."""
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # else cuBLAS sums in whatever order is free
    torch.use_deterministic_algorithms(True, warn_only=True)
    # On by default beside the above: it writes each new tensor twice, to show programs that read unwritten memory.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False


def tune_malloc() -> bool:
    """Keep freed memory in the process instead of giving it back to the system; whether that could be asked for.

    A training step on the CPU frees and asks for the same gigabyte again and again, and the system
    clears every page of it each time: a fifth of the step, and a third of looking for faces. Only the
    GNU C library has these settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # One arena for all threads, which is never shrunk, grows by 256 MB and holds the largest pieces too.
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28), (_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
