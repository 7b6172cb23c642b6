import errno
import os
import signal

import pytest

from portrait18.errors import UserError, one_line_errors


@pytest.fixture(autouse=True)
def signal_handlers_as_before():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def end_of(failure: BaseException, capsys) -> tuple[int, list[str]]:
    """Exit status and lines on stderr of an entry point that fails so."""

    @one_line_errors
    def main():
        raise failure

    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert out == ""
    return caught.value.code, err.splitlines()


def test_user_error_becomes_one_line(capsys):
    assert end_of(UserError("a.jpg is bad; replace it"), capsys) == (1, ["error: a.jpg is bad; replace it"])


def test_several_problems_become_a_line_each_and_their_number(capsys):
    status, lines = end_of(UserError(line for line in ("first", "second", "third")), capsys)
    assert status == 1
    assert lines[:3] == ["error: first", "error: second", "error: third"]
    assert len(lines) == 4 and lines[3].startswith("3 problems")


def test_text_of_a_user_error_holds_all_problems():
    assert str(UserError(["first", "second"])) == "first\nsecond"
    assert UserError("only").problems == ["only"]


def test_interrupt_says_how_to_go_on(capsys):
    status, lines = end_of(KeyboardInterrupt(), capsys)
    assert status == 130 and lines == ["stopped; run the same command again to go on from here"]


def test_termination_ends_like_an_interrupt(capsys):
    @one_line_errors
    def main():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130 and "stopped" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_full_or_closed_disk_becomes_one_line_with_the_file(capsys, number):
    status, lines = end_of(OSError(number, os.strerror(number), "data/crops.npy"), capsys)
    assert status == 1 and len(lines) == 1
    assert lines[0].startswith(f"error: {os.strerror(number)}: data/crops.npy; ")


def test_full_disk_without_a_file_name_is_still_one_line(capsys):
    status, lines = end_of(OSError(errno.ENOSPC, "No space left on device"), capsys)
    assert status == 1 and lines[0].startswith("error: No space left on device; ")


@pytest.mark.parametrize("failure", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "gone", "x")])
def test_other_errors_keep_their_traceback(failure):
    @one_line_errors
    def main():
        raise failure

    with pytest.raises(type(failure)):
        main()


def test_wrapped_function_keeps_name_arguments_and_result():
    @one_line_errors
    def add(a, b=1):
        """Sum."""
        return a + b

    assert add(2, b=3) == 5 and add.__name__ == "add" and add.__doc__ == "Sum."


def test_what_breaks_a_line_or_steers_a_terminal_is_escaped():
    (line,) = UserError("a\nb\x1b[31m\udcff\u2028é ü").problems
    assert line == r"a\nb\x1b[31m\udcff\u2028é ü"
