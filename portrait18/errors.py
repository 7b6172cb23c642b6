"""Errors that a user can cause: one line each, naming the thing, the value, what is allowed, the fix."""

import errno
import functools
import signal
import sys
from collections.abc import Callable, Iterable

#: Errors of the system that a user can mend, and how.
_MENDED_BY = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "use a disk that can be written to",
    errno.EACCES: "allow this user to read and write there",
    errno.EPERM: "allow this user to read and write there",
    errno.ENOTDIR: "put a folder in the file's place",
}


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


def _terminate(signum, frame):
    raise KeyboardInterrupt


def one_line_errors(main: Callable) -> Callable:
    """Decorator for an entry point: a `UserError` becomes plain lines and exit status 1, not a traceback.

    SIGINT and SIGTERM end with a line that says how to go on (status 130).
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs):
        signal.signal(signal.SIGTERM, _terminate)
        try:
            return main(*args, **kwargs)
        except UserError as error:
            for problem in error.problems:
                print(f"error: {problem}", file=sys.stderr)
            if len(error.problems) > 1:
                print(f"{len(error.problems)} problems; mend them all, then run this command again", file=sys.stderr)
            if error.hint:
                print(error.hint, file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on from here", file=sys.stderr)
            sys.exit(130)
        except OSError as error:
            if error.errno not in _MENDED_BY:
                raise
            where = f": {error.filename}" if error.filename else ""
            mend = f"{_MENDED_BY[error.errno]}, then run the same command again"
            print(f"error: {error.strerror}{where}; {mend}", file=sys.stderr)
            sys.exit(1)

    return wrapped
