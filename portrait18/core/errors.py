"""Errors that a user can cause: one line each, naming the thing, the value, what is allowed, the fix."""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

#: Errors of the system that a user can mend, and how.
_MENDED_BY = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in your quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "use a disk that can be written to",
    errno.EACCES: "allow this user to read and write there",
    errno.EPERM: "allow this user to read and write there",
    errno.ENOTDIR: "put a folder in the file's place",
    errno.EEXIST: "put a folder in the file's place",
    errno.EISDIR: "put a file in the folder's place",
    errno.ENAMETOOLONG: "use a shorter name",
}

#: How PyTorch's RuntimeErrors say that memory ran out: on the GPU, in its libraries, beside it, between processes.
_OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",
    "insufficient shared memory",
)
_STOPPED = "stopped; run the same command again to go on from here"
_INTERRUPTED = 130  # exit status, as of a shell's command that SIGINT ended
#: The fix for a file that DVC keeps: deleting it may not do, its copy in the cache can be damaged too.
REPAIR_HINT = "run make repair, then dvc repro"


def printable(text: str) -> str:
    """The text with what breaks a line or steers a terminal as escapes: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(Exception):
    """Something in the input, the params or the machine that the user can mend.

    Args:
        problems: one line, or several that were found together.
        hint: a last line that concerns all of them.
    """

    def __init__(self, problems: str | Iterable[str], hint: str = ""):
        self.hint = hint
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        self.problems = [printable(problem) for problem in self.problems]
        super().__init__("\n".join(self.problems))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the GPU or beside it."""
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    return (
        said
        or isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


@contextmanager
def oom_hint(params: str) -> Iterator[None]:
    """Where memory runs out inside, a `UserError` that names the params to lower."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"{_shortage(error)}; lower {params} in params.yaml, then run the same command again"
        ) from None


def _shortage(error: BaseException) -> str:
    reason = str(error).strip().split("\n")[0]
    return f"memory ran out ({reason})" if reason else "memory ran out"


def _on_signals(handler: Callable) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as a shell's background commands have it
            signal.signal(number, handler)


def exit_on_signals() -> None:
    """Until an entry point begins, SIGINT and SIGTERM end the process at once: imports would give a traceback."""

    def end(signum, frame):
        os.write(2, f"{_STOPPED}\n".encode())
        os._exit(_INTERRUPTED)  # nothing has begun that could be put in order

    _on_signals(end)


def _interrupt(signum, frame):
    raise KeyboardInterrupt


def cli_errors(main: Callable) -> Callable:
    """Decorator for an entry point: a `UserError` becomes plain lines and exit status 1, not a traceback.

    SIGINT and SIGTERM end with a line that says how to go on (status 130).
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs):
        _on_signals(_interrupt)
        try:
            return main(*args, **kwargs)
        except UserError as error:
            for problem in error.problems:
                print(f"error: {problem}", file=sys.stderr)
            if len(error.problems) > 1:
                print(
                    f"{len(error.problems)} problems; mend them all, then run this command again",
                    file=sys.stderr,
                )
            if error.hint:
                print(error.hint, file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print(_STOPPED, file=sys.stderr)
            sys.exit(_INTERRUPTED)
        except (RuntimeError, MemoryError, OSError) as error:
            if is_out_of_memory(error):
                print(
                    f"error: {_shortage(error)}; end other programs or use a larger machine",
                    file=sys.stderr,
                )
                sys.exit(1)
            if not isinstance(error, OSError) or error.errno not in _MENDED_BY:
                raise
            where = f": {error.filename}" if error.filename else ""
            mend = f"{_MENDED_BY[error.errno]}, then run the same command again"
            print(f"error: {error.strerror}{where}; {mend}", file=sys.stderr)
            sys.exit(1)

    return wrapped
