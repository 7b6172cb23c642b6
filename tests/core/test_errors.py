import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from synthetic import REPO

from portrait18.core.errors import STOPPED, UserError, cli_errors, oom_hint, too_long


@pytest.fixture(autouse=True)
def signal_handlers_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def end_of(failure: BaseException, capsys) -> tuple[int, list[str]]:
    """Return exit status and lines on stderr of an entry point that raises an error."""

    @cli_errors
    def main():
        raise failure

    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert out == ""
    return caught.value.code, err.splitlines()


def test_user_error_becomes_one_line(capsys):
    assert end_of(UserError("a.jpg is bad; replace it"), capsys) == (
        1,
        ["error: a.jpg is bad; replace it"],
    )


def test_several_problems_become_a_line_each_and_a_count(capsys):
    status, lines = end_of(UserError(line for line in ("first", "second", "third")), capsys)
    assert status == 1
    assert lines[:3] == ["error: first", "error: second", "error: third"]
    assert len(lines) == 4
    assert lines[3].startswith("3 problems")


def test_text_of_a_user_error_contains_all_problems():
    assert str(UserError(["first", "second"])) == "first\nsecond"
    assert UserError("only").problems == ["only"]


def test_an_interrupt_says_how_to_resume(capsys):
    status, lines = end_of(KeyboardInterrupt(), capsys)
    assert status == 130
    assert lines == ["stopped; run the same command again to resume"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_termination_ends_like_an_interrupt(capsys, number):
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    @cli_errors
    def main():
        os.kill(os.getpid(), number)
        signal.pause()

    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert "stopped" in capsys.readouterr().err


# Sets the disposition of SIGINT itself: a shell's background jobs, and so their tests, ignore it.
BEFORE_MAIN = """
import os, signal, time
from portrait18.core.errors import exit_on_signals
signal.signal(signal.SIGINT, signal.{disposition})
exit_on_signals()
os.kill(os.getpid(), signal.{name})
time.sleep(1)
print("still here")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signals_during_imports_end_the_process_without_a_traceback(name):
    code = BEFORE_MAIN.format(disposition="SIG_DFL", name=name)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"{STOPPED}\n")


def test_a_background_job_keeps_ignoring_interrupts():
    code = BEFORE_MAIN.format(disposition="SIG_IGN", name="SIGINT")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "still here\n")


def error_of(allocate) -> BaseException:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        allocate()
    return caught.value


OUT_OF_MEMORY = {
    "GPU": torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1 GiB free."
    ),
    "GPU, older name": torch.cuda.OutOfMemoryError("CUDA out of memory."),
    "cuBLAS": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "CPU": error_of(lambda: torch.empty(2**60, dtype=torch.uint8)),
    "NumPy": error_of(lambda: np.empty(2**60, np.uint8)),
    "Python": MemoryError(),
    "map": OSError(errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.mark.parametrize("failure", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
def test_lack_of_memory_becomes_one_line_with_the_params_to_lower(capsys, failure):
    @cli_errors
    def main():
        with oom_hint("predict.batch_size"):
            raise failure

    with pytest.raises(SystemExit) as caught:
        main()
    lines = capsys.readouterr().err.splitlines()
    assert caught.value.code == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: memory ran out")
    assert lines[0].endswith(
        "; lower predict.batch_size in params.yaml, then run the same command again"
    )


@pytest.mark.parametrize("failure", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
def test_lack_of_memory_elsewhere_becomes_one_line(capsys, failure):
    status, lines = end_of(failure, capsys)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: memory ran out")


@pytest.mark.parametrize(
    "failure", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("a")]
)
def test_other_errors_get_no_memory_hint(failure):
    with pytest.raises(type(failure)) as caught, oom_hint("predict.batch_size"):
        raise failure
    assert caught.value is failure


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG]
)
def test_a_full_or_read_only_disk_becomes_one_line_with_the_file(capsys, number):
    status, lines = end_of(OSError(number, os.strerror(number), "data/crops.npy"), capsys)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {os.strerror(number)}: data/crops.npy; ")


def test_a_full_disk_without_a_file_name_becomes_one_line(capsys):
    status, lines = end_of(OSError(errno.ENOSPC, "No space left on device"), capsys)
    assert status == 1
    assert lines[0].startswith("error: No space left on device; ")


@pytest.mark.parametrize(
    "failure",
    [ValueError("a bug"), RuntimeError("a bug"), FileNotFoundError(errno.ENOENT, "gone", "x")],
)
def test_other_errors_keep_their_traceback(failure):
    @cli_errors
    def main():
        raise failure

    with pytest.raises(type(failure)):
        main()


def test_wrapped_function_keeps_name_arguments_and_result():
    @cli_errors
    def add(a, b=1):
        """Sum."""
        return a + b

    assert add(2, b=3) == 5
    assert add.__name__ == "add"
    assert add.__doc__ == "Sum."


def test_line_breaks_and_control_characters_are_escaped():
    (line,) = UserError("a\nb\x1b[31m\udcff\u2028é ü").problems
    assert line == r"a\nb\x1b[31m\udcff\u2028é ü"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x" * 255, ""),
        ("a/" + "x" * 256, "has a name of 256 bytes, at most 255 are allowed; shorten it"),
        ("\ub9c8" * 100, "has a name of 300 bytes, at most 255 are allowed; shorten it"),
        ("abcd/" * 1000, "is a path of 4999 bytes, at most 4095 are allowed; shorten its names"),
    ],
)
def test_what_is_too_long_for_the_disk_is_named(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    assert too_long(path) == reason


def test_a_name_in_a_system_error_is_escaped(tmp_path, capsys):
    with pytest.raises(FileExistsError) as caught:
        (tmp_path / "a\nb").mkdir() or (tmp_path / "a\nb").mkdir()
    status, lines = end_of(caught.value, capsys)
    assert status == 1
    assert lines[0].startswith("error: File exists: ")
    assert len(lines) == 1
