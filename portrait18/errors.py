"""Errors that a user can cause: one line each, naming the thing, the value, what is allowed, the fix."""

import errno
import functools
import signal
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something in the input, the params or the machine that the user can mend.

    Args:
        problems: one line, or several that were found together.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
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
                print(
                    f"{len(error.problems)} problems; mend them all, then run the same command again", file=sys.stderr
                )
            sys.exit(1)
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on from here", file=sys.stderr)
            sys.exit(130)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT):
                raise
            where = f": {error.filename}" if error.filename else ""
            print(
                f"error: {error.strerror}{where}; make room or allow writing, then run the same command again",
                file=sys.stderr,
            )
            sys.exit(1)

    return wrapped
