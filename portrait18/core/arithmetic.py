"""The same floating-point results on every x86-64 CPU with AVX2 (`compute.arithmetic: portable`).

Numerical libraries choose their kernels by the CPU, and kernels of different vector widths round
differently. Portable arithmetic fixes all of them to AVX2: outputs, gradients and trained weights
are then identical on a native AVX-512 machine and on an emulated Haswell, Rome and Icelake
(tests/pipeline/test_portability.py). What environment variables cannot fix are some elementary
functions of PyTorch on CPUs, which MKL computes to 1 ulp; `replace_kernels` replaces them.
"""

import os
import platform
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: Variable -> value; each library reads its own when it is first imported.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products; AVX2 would still differ between Intel and AMD
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's matrix products
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",  # exp, log, power
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
}
#: Packages that read these variables at import.
NUMERICAL = ("numpy", "torch", "cv2", "scipy")


def imported_packages() -> list[str]:
    """Return the numerical packages that are imported already and would ignore the variables."""
    return [name for name in NUMERICAL if name in sys.modules]


def set_environment(arithmetic: str, threads: int | None = None) -> None:
    """Set the environment variables of a kind of arithmetic, before numerical packages load.

    Args:
        arithmetic: `portable`, or `native` for the CPU's widest vectors.
        threads: of PyTorch and OpenMP; None leaves their number to them. It decides how sums are
            split, so stages take it from the params and not from the machine.

    Raises:
        RuntimeError: a package that would ignore the variables is imported already.
    """
    if imported := imported_packages():
        raise RuntimeError(f"{', '.join(imported)} imported before the arithmetic was chosen")
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
        # More threads than cores must work too, because the number is part of the result.
        os.environ["MKL_DYNAMIC"] = "FALSE"  # else MKL, and PyTorch with it, uses fewer
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # it uses fewer without a way to forbid it
    if arithmetic == "portable":
        os.environ.update(PORTABLE)


def is_portable() -> bool:
    """Return whether this process was started with portable arithmetic."""
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def description() -> list:
    """Return the arithmetic and the number of threads of this process, for fingerprints of work."""
    import torch

    return ["portable" if is_portable() else "native", torch.get_num_threads()]


def replace_kernels() -> None:
    """Replace PyTorch's CPU kernels that still depend on the CPU, in this process.

    MKL's vector math computes them, which no environment variable limits to AVX2. The replacements
    are NumPy's: IEEE 754 demands a correctly rounded square root, the others are computed in
    float64 and rounded. All optimizers that divide by a running second moment use the root.
    """
    if _LIBRARIES:
        return
    import numpy as np
    import torch

    functions = {
        "sqrt": np.sqrt,
        "log": np.log,
        "log2": np.log2,
        "log10": np.log10,
        "tan": np.tan,
        "asin": np.arcsin,
        "acos": np.arccos,
        "atan": np.arctan,
    }
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about overriding a kernel: that is the purpose
        for name, function in functions.items():
            compute = partial(_compute, function)
            library.impl(name, compute, "CPU")
            library.impl(f"{name}_", partial(_compute_in_place, compute), "CPU")
            library.impl(f"{name}.out", partial(_compute_out, compute), "CPU")
        root = partial(_compute, np.sqrt)
        _replace_power(library, "pow.Tensor_Scalar", root)
        _replace_power(library, "pow_.Scalar", partial(_compute_in_place, root))
        _replace_power(library, "pow.Tensor_Scalar_out", partial(_compute_out, root))
    _LIBRARIES.append(library)


def _replace_power(library: "torch.library.Library", name: str, root: Callable) -> None:
    """Compute powers of 0.5 as square roots; PyTorch's own kernel does so too, with MKL's root."""
    import torch

    original = torch.library.get_kernel(f"aten::{name}", "CPU")

    def power(keys: Any, values: "torch.Tensor", exponent: float, **kwargs: Any) -> Any:
        if exponent == 0.5 and values.is_floating_point():
            return root(values, **kwargs)
        return original.call_boxed(keys, values, exponent, **kwargs)

    library.impl(name, power, "CPU", with_keyset=True)


def _compute(function: Callable, values: "torch.Tensor") -> "torch.Tensor":
    """Apply a NumPy function; integers give PyTorch's default type, as its own kernels do."""
    import numpy as np
    import torch

    dtype = values.dtype if values.dtype.is_floating_point else torch.get_default_dtype()
    if values.is_complex():
        dtype = values.dtype
    elif function is not np.sqrt or dtype not in (torch.float32, torch.float64):
        values = values.double()
    with np.errstate(all="ignore"):  # PyTorch does not warn about the root of -1 either
        result = function(values.detach().resolve_conj().resolve_neg().numpy())
    return torch.from_numpy(np.asarray(result)).to(dtype)


def _compute_in_place(compute: Callable, values: "torch.Tensor") -> "torch.Tensor":
    return values.copy_(compute(values))


def _compute_out(
    compute: Callable, values: "torch.Tensor", *, out: "torch.Tensor"
) -> "torch.Tensor":
    return out.resize_(values.shape).copy_(compute(values))


_LIBRARIES: list = []  # PyTorch removes the kernels when their library is deleted


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
