"""Errors that a user can cause, one line each: what, the value, what is allowed, the fix."""

import errno
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: System errors that a user can fix, and the fix.
ERRNO_HINTS = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your disk quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "use a writable disk",
    errno.EACCES: "allow this user to read and write there",
    errno.EPERM: "allow this user to read and write there",
    errno.ENOTDIR: "replace the file by a folder",
    errno.EEXIST: "replace the file by a folder",
    errno.EISDIR: "replace the folder by a file",
}

#: How PyTorch reports lack of memory: of a GPU, of CUDA libraries, of the CPU, shared memory.
_OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",
    "insufficient shared memory",
)
#: Last line of a program that a signal ended.
STOPPED = "stopped; run the same command again to resume"
_INTERRUPTED = 130  # exit status of a shell command that SIGINT ended
#: The fix for a file that DVC tracks. Deleting it may not help: the cache can be damaged too.
REPAIR_HINT = "run make repair, then dvc repro"


def printable(text: str) -> str:
    """Escape line breaks and terminal control characters: file names can contain anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def too_long(path: str | os.PathLike) -> str:
    """Return what makes a path too long for its disk, and the fix; "" if it is not."""
    path = Path(path)
    folder = next(filter(os.path.exists, path.absolute().parents))
    most = os.pathconf(folder, "PC_NAME_MAX")
    longest = max(len(os.fsencode(part)) for part in path.parts)
    if longest > most:
        return f"has a name of {longest} bytes, at most {most} are allowed; shorten it"
    most = os.pathconf(folder, "PC_PATH_MAX") - 1  # without the final zero byte
    length = len(os.fsencode(path))
    if length > most:
        return f"is a path of {length} bytes, at most {most} are allowed; shorten its names"
    return ""


class UserError(Exception):
    """A problem of the input, the params or the machine that the user can fix.

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
    """Return whether an error means that memory ran out, on the GPU or on the CPU."""
    if isinstance(error, RuntimeError):
        return any(part in str(error) for part in _OUT_OF_MEMORY)
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    )


@contextmanager
def oom_hint(params: str) -> Iterator[None]:
    """Turn running out of memory in the block into a `UserError` that names the params to lower."""
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
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell's background jobs ignore SIGINT
            signal.signal(number, handler)


def exit_on_signals() -> None:
    """End the process at once on SIGINT and SIGTERM, until an entry point sets its own handlers.

    Without it, a signal during imports would print a traceback.
    """

    def end(signum, frame):
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(_INTERRUPTED)  # nothing has started that would need cleaning up

    _on_signals(end)


def _interrupt(signum, frame):
    raise KeyboardInterrupt


def cli_errors(main: Callable) -> Callable:
    """Decorate an entry point so that errors a user can fix are lines on stderr, not tracebacks.

    A `UserError`, lack of memory and the system errors of `ERRNO_HINTS` exit with status 1, SIGINT
    and SIGTERM with status 130.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs):
        _on_signals(_interrupt)
        try:
            return main(*args, **kwargs)
        except UserError as error:
            lines, status = _lines(error), 1
        except KeyboardInterrupt:
            lines, status = [STOPPED], _INTERRUPTED
        except (RuntimeError, MemoryError, OSError) as error:
            line, status = _system_error(error), 1
            if not line:
                raise
            lines = [line]
        for line in lines:
            print(line, file=sys.stderr)
        sys.exit(status)

    return wrapped


def _lines(error: UserError) -> list[str]:
    lines = [f"error: {problem}" for problem in error.problems]
    if len(lines) > 1:
        lines.append(f"{len(lines)} problems; fix them all, then run this command again")
    return [*lines, error.hint] if error.hint else lines


def _system_error(error: Exception) -> str:
    """Return the line for lack of memory or a system error that a user can fix, else ""."""
    if is_out_of_memory(error):
        return f"error: {_shortage(error)}; end other programs or use a larger machine"
    if not isinstance(error, OSError):
        return ""
    if error.errno == errno.ENAMETOOLONG and error.filename:
        name = os.fsdecode(error.filename)
        reason = too_long(name) or "has a name that is too long for its disk; shorten it"
        return printable(f"error: {name} {reason}")
    if error.errno not in ERRNO_HINTS:
        return ""
    where = f": {printable(os.fsdecode(error.filename))}" if error.filename else ""
    hint = f"{ERRNO_HINTS[error.errno]}, then run the same command again"
    return f"error: {error.strerror}{where}; {hint}"
