import os

# Two test processes on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import synthetic
from bundling import load_bundle, make_bundle  # noqa: F401 (fixtures)
from cropped import build, find, inventory  # noqa: F401 (fixtures)
from fitting import fit  # noqa: F401

from portrait18.core import params
from portrait18.core.errors import UserError


@pytest.fixture
def make_dataset():
    """make_dataset(root, people=folder names, eval_photos=file names) writes a data set."""
    return synthetic.make_dataset


@pytest.fixture
def write_params():
    """write_params(path, {"check.problems": "skip"}) copies params.yaml with these changes."""
    return synthetic.write_params


@pytest.fixture
def load(tmp_path, write_params):
    """load({"label.fixes": "high_confidence"}) loads params.yaml with these changes."""
    return lambda changes=None: params.load(write_params(tmp_path / "params.yaml", changes))


@pytest.fixture
def problems(load):
    """problems(changes) returns the lines of the error that these changes cause."""

    def caught_by(changes) -> list[str]:
        with pytest.raises(UserError) as caught:
            load(changes)
        assert not [line for line in caught.value.problems if "\n" in line]
        return caught.value.problems

    return caught_by
