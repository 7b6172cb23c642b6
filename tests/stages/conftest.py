"""Fixtures for the tests of the stage check."""

import shutil
import signal
from pathlib import Path

import pytest
from check_outputs import OUTS
from synthetic import REPO

from portrait18.core.errors import UserError
from stages import check


@pytest.fixture
def check_project(tmp_path, monkeypatch, make_dataset, write_params):
    """Work in a folder with a valid data set in photos/ and a params.yaml that points at it."""
    make_dataset(tmp_path / "photos")
    shutil.copytree(REPO / "data/extra", tmp_path / "data/extra")
    write_params(tmp_path / "params.yaml", {"data.root": "photos"})
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def rejected():
    """Run the stage, which must fail without outputs; returns its error."""

    def run() -> UserError:
        with pytest.raises(UserError) as caught:
            check.main()
        assert not any(path.exists() for path in OUTS)
        return caught.value

    return run


@pytest.fixture
def skip_problems(write_params):
    write_params(Path("params.yaml"), {"data.root": "photos", "check.problems": "skip"})
