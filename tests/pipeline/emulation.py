"""Run stages in one process, natively or on a CPU that qemu emulates, and hash what they write."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CPUS = ("Haswell", "EPYC-Rome", "Icelake-Server")
#: Starts Python once for all stages: under emulation the import of PyTorch takes 15 s.
DRIVER = """
import importlib, sys
from stages.__main__ import set_arithmetic
set_arithmetic()
if "--plain-kernels" in sys.argv:
    from portrait18.core import arithmetic
    arithmetic.replace_kernels = lambda: None
for command in sys.argv[1].split(";"):
    name, *arguments = command.split()
    importlib.import_module(f"stages.{name}").main(*arguments)
"""
#: Variables of this machine or of CI that would make a native run a portable one.
FIXED = ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "NPY_DISABLE_CPU_FEATURES")


def missing() -> str:
    """Return why portability cannot be tested on this machine, or an empty string."""
    if shutil.which("qemu-x86_64") is None:
        return "qemu-x86_64 is missing; install the package qemu-user"
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or " avx2" not in flags.read_text():
        return "this CPU has no AVX2"
    return ""


def has_avx512() -> bool:
    """Return whether this CPU has AVX-512, so that its own results differ from AVX2's."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and " avx512f" in flags.read_text()


def python(cpu: str | None, *arguments: str, cwd: Path) -> str:
    """Run this Python with arguments.

    Args:
        cpu: model that qemu emulates; None runs natively.
        arguments: of Python.
        cwd: working directory.

    Returns:
        Standard output.
    """
    command = [*(["qemu-x86_64", "-cpu", cpu] if cpu else []), sys.executable, *arguments]
    env = {name: value for name, value in os.environ.items() if name not in FIXED}
    done = subprocess.run(
        command, cwd=cwd, env={**env, "PYTHONPATH": "."}, text=True, capture_output=True
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_stages(root: Path, cpu: str | None, groups: list[str], *flags: str) -> dict[str, str]:
    """Run stages and hash all files that they wrote.

    Args:
        root: folder of the project.
        cpu: model that qemu emulates; None runs natively.
        groups: for each process, its stages: `train mask 0 0;predict mask`.
        flags: `--plain-kernels` keeps PyTorch's own kernels.

    Returns:
        Path relative to `root` -> hash.
    """
    before = {path for path in root.rglob("*") if path.is_file()}
    for stages in groups:
        python(cpu, "-c", DRIVER, stages, *flags, cwd=root)
    skipped = {"__pycache__", ".resume"}
    return {
        path.relative_to(root).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path not in before and not skipped & set(path.parts)
    }
