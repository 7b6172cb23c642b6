import pytest

from portrait18.core import onnx_runtime


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("", 0), ("all", 0), (None, 0)]
)
def test_the_threads_of_openmp_are_used(monkeypatch, value, threads):
    if value is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert onnx_runtime._threads() == threads
