"""The same floating-point results on every x86-64 CPU with AVX2 (`compute.arithmetic: portable`).

Numerical libraries choose their kernels by the CPU, and kernels of different vector widths round
differently. Portable arithmetic fixes all of them to AVX2. Measured with PyTorch 2.14: outputs,
gradients and trained weights are then identical on a native AVX-512 machine and on an emulated
Haswell, Rome and Icelake (tests/pipeline/test_portability.py). What environment variables cannot
fix is the square root of PyTorch on CPUs, which MKL computes to 1 ulp; `install_ieee_sqrt` replaces
it.
"""

import os
import platform
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

#: Variable -> value; each library reads its own when it is first imported.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products; AVX2 would still differ between Intel and AMD
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's matrix products
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # exp, log, power
    "OPENCV_CPU_DISABLE": "AVX512_SKX",
}
#: Packages that read these variables at import.
NUMERICAL = ("numpy", "torch", "cv2", "scipy")


def set_environment(arithmetic: str, threads: int) -> None:
    """Set the environment variables of a kind of arithmetic, before numerical packages load.

    Args:
        arithmetic: `portable`, or `native` for the CPU's widest vectors.
        threads: of PyTorch, OpenBLAS and OpenMP. The number decides how sums are split, so it is a
            param and not the machine's number of cores.

    Raises:
        RuntimeError: a package that would ignore the variables is imported already.
    """
    if imported := [name for name in NUMERICAL if name in sys.modules]:
        raise RuntimeError(f"{', '.join(imported)} imported before the arithmetic was chosen")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if arithmetic == "portable":
        os.environ.update(PORTABLE)


def is_portable() -> bool:
    """Return whether this process was started with portable arithmetic."""
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def install_ieee_sqrt() -> None:
    """Replace PyTorch's CPU kernels of the square root by correctly rounded ones, in this process.

    All optimizers that divide by a running second moment use them. IEEE 754 demands a correctly
    rounded square root, NumPy's uses the CPU's instruction, so it is the same everywhere.
    """
    global _LIBRARY
    if _LIBRARY is not None:
        return
    import numpy as np
    import torch

    def sqrt(values: torch.Tensor) -> torch.Tensor:
        exact = values.dtype in (torch.float32, torch.float64)
        array = (values if exact else values.float()).detach().numpy()
        return torch.from_numpy(np.asarray(np.sqrt(array))).to(values.dtype)

    def sqrt_(values: torch.Tensor) -> torch.Tensor:
        return values.copy_(sqrt(values))

    def sqrt_out(values: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return out.resize_(values.shape).copy_(sqrt(values))

    def foreach_sqrt(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [sqrt(values) for values in tensors]

    def foreach_sqrt_(tensors: Sequence[torch.Tensor]) -> None:
        for values in tensors:
            sqrt_(values)

    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about overriding a kernel: that is the purpose
        library.impl("sqrt", sqrt, "CPU")
        library.impl("sqrt_", sqrt_, "CPU")
        library.impl("sqrt.out", sqrt_out, "CPU")
        library.impl("_foreach_sqrt", foreach_sqrt, "CPU")
        library.impl("_foreach_sqrt_", foreach_sqrt_, "CPU")
    _LIBRARY = library


_LIBRARY: object | None = None  # PyTorch removes the kernels when this object is deleted


def unsupported() -> str:
    """Return why this machine cannot give the portable results, or an empty string."""
    machine = platform.machine().lower()
    if machine not in ("x86_64", "amd64"):
        return f"this CPU is {machine}; portable results need x86-64 with AVX2"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return "" if " avx2" in flags else "this CPU has no AVX2"
