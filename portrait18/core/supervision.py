"""End a stage when the DVC that started it ends."""

import itertools
import os
import signal
import threading
import time
from contextlib import suppress

import psutil


def ancestors_up_to_dvc() -> list[psutil.Process]:
    """Return this process, then each parent up to and including DVC.

    DVC sets `DVC_STAGE` for every process that it starts and does not have it itself. A shell or
    torchrun may be between the two.
    """
    chain = [psutil.Process()]
    with suppress(psutil.Error):  # a parent has exited, or belongs to another user
        while chain[-1].environ().get("DVC_STAGE") == os.environ["DVC_STAGE"] and (
            parent := chain[-1].parent()
        ):
            chain.append(parent)
    return chain


def _terminate_after(chain: list[psutil.Process]) -> None:
    with suppress(psutil.Error):
        while all(process.ppid() == parent.pid for process, parent in itertools.pairwise(chain)):
            time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)


def terminate_with_dvc() -> None:
    """Start a thread that ends this process when the DVC that started it ends.

    A killed DVC leaves its stage running; a second `dvc repro` would then write the same files.
    Without `DVC_STAGE` (a stage started by hand) nothing is started.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_terminate_after, args=[ancestors_up_to_dvc()], daemon=True).start()
