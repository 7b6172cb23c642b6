"""Run a module like `python -m` and log the files of the working folder that it opens.

spy.py LOG MODULE ARGUMENT ...
"""

import os
import runpy
import sys

import safetensors

ROOT = os.getcwd()
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def hook(event: str, args: tuple) -> None:
    if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(args[0]))
        writes = bool(args[2] & WRITES) if args[2] else any(c in (args[1] or "r") for c in "wax+")
        record(path, writes)
    elif event == "os.rename":  # a temporary file counts under its final name
        record(os.path.realpath(os.fsdecode(args[1])), True)


def record(path: str, writes: bool) -> None:
    if path.startswith(ROOT + os.sep):
        os.write(LOG, f"{'w' if writes else 'r'} {os.path.relpath(path, ROOT)}\n".encode())


def safe_open(path, *args, **kwargs):
    """Replace safetensors' own, which opens files in Rust without an audit event."""
    record(os.path.realpath(os.fsdecode(path)), False)
    return opened(path, *args, **kwargs)


if __name__ == "__main__":
    _, log, module, *sys.argv[1:] = sys.argv
    LOG = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(hook)
    opened, safetensors.safe_open = safetensors.safe_open, safe_open
    sys.path.insert(0, ROOT)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
