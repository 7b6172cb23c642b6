import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes, two cores: more threads than cores stall PyTorch

import pytest
import synthetic
from bundling import load_bundle, make_bundle  # noqa: F401 (fixtures)
from cropped import build, find, inventory  # noqa: F401 (fixtures)
from fitting import fit  # noqa: F401


@pytest.fixture
def make_dataset():
    """make_dataset(root, people=folder names, eval_photos=file names) writes a data set and returns its root."""
    return synthetic.make_dataset


@pytest.fixture
def write_params():
    """write_params(path, {"check.problems": "skip"}) copies the repository's params.yaml with such changes."""
    return synthetic.write_params
