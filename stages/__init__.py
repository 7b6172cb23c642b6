"""The pipeline's stages, `python -m stages.NAME`. What all of them do first, before their imports take seconds."""

import itertools
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from portrait18.core.errors import end_on_signals


def _up_to_dvc() -> list:
    """This process, those between it and DVC, such as a shell or torchrun, then DVC, each the parent of the one before.

    DVC tells its stage's name to all that it starts (`DVC_STAGE`), and does not have it itself.
    """
    import psutil

    line = [psutil.Process()]
    with suppress(psutil.Error):  # ended meanwhile, or another user's
        while line[-1].environ().get("DVC_STAGE") == os.environ["DVC_STAGE"] and (parent := line[-1].parent()):
            line.append(parent)
    return line


def _end_with(line: list) -> None:
    """DVC that is killed leaves its stage running: a second one, started again, would write the same files."""
    import psutil

    with suppress(psutil.Error):
        while all(process.ppid() == parent.pid for process, parent in itertools.pairwise(line)):
            time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


if sys.argv[0] == "-m":  # a program that begins, no import of one
    end_on_signals()
    if "DVC_STAGE" in os.environ:  # set by DVC; a stage started by hand may outlive its shell
        threading.Thread(target=_end_with, args=[_up_to_dvc()], daemon=True).start()
