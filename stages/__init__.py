"""The pipeline's stages, `python -m stages.NAME`. What all of them do first, before their imports take seconds."""

import os
import signal
import sys
import threading
import time

from portrait18.errors import end_on_signals


def _parents() -> tuple[int, ...]:
    """The process that started this one and, where that is torchrun, which outlives DVC, the one that started it."""
    parent = os.getppid()
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return (parent,)
    import psutil

    return parent, psutil.Process(parent).ppid() if psutil.pid_exists(parent) else 0


def _end_with(parents: tuple[int, ...]) -> None:
    """DVC that is killed leaves its stage running: a second one, started again, would write the same files."""
    while _parents() == parents:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


if sys.argv[0] == "-m":  # a program that begins, no import of one
    end_on_signals()
    if "DVC_STAGE" in os.environ:  # set by DVC; a stage started by hand may outlive its shell
        threading.Thread(target=_end_with, args=[_parents()], daemon=True).start()
