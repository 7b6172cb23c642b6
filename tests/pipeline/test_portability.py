"""`compute.arithmetic: portable` gives the same bytes on every x86-64 CPU with AVX2.

qemu emulates other CPUs. `make portability` runs the tests that .ci/run has no time for.
"""

import emulation
import pytest
from portable_project import PARAMS, PREPARED, both
from synthetic import REPO

from recipes.values import merge

REASON = emulation.missing()
pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(bool(REASON), reason=REASON),
    # Other programs may share the cores.
    pytest.mark.timeout(4 * 3600),
]
HASWELL = emulation.CPUS[0]
OPERATIONS = """
import runpy
from portrait18.core import arithmetic
arithmetic.set_environment("portable", 1)
runpy.run_path("tests/pipeline/operations.py")
"""
SHORT = [
    "check;label;split;crop train;crop eval;group;train all 0 0;train age-value 0 0"
    ";features tf_efficientnet_lite0 train;features tf_efficientnet_lite0 eval;fit gender"
    ";predict all;predict age-value;ensemble;audit",
]
CHAIN = [
    "check;label;split;crop train;crop eval;group;train all 0 0;train age-value 0 0",
    "features tf_efficientnet_lite0 train;features tf_efficientnet_lite0 eval;fit gender",
    "predict all;predict age-value;pseudo_label all 0",
    "train all 0 0 2",
    "predict all 2;ensemble;evaluate;audit;submit;export",
]


def operations(cpu: str | None, *flags: str) -> dict[str, str]:
    """Return operation -> hash of its results."""
    lines = emulation.python(cpu, "-c", OPERATIONS, *flags, cwd=REPO).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def test_operations_give_the_same_bytes_on_an_emulated_cpu():
    emulated = operations(HASWELL)
    assert operations(None) == emulated
    # The comparison notices a kernel that depends on the CPU.
    plain = operations(None, "--plain-kernels")
    if emulation.has_avx512():
        assert plain["torch.float32 sqrt"] != emulated["torch.float32 sqrt"]
        assert plain["torch.float32 exp"] == emulated["torch.float32 exp"]


def test_the_stages_write_the_same_bytes_on_an_emulated_cpu(tmp_path):
    params = merge(PARAMS, {"pseudo_label": {"models": []}})
    native, emulated = both(tmp_path, HASWELL, params, SHORT)
    assert native.keys() >= {
        "models/trained/all/0-0.safetensors",
        "data/predictions/round1/age-value/0-0.csv",
        "data/ensemble/config.json",
        "reports/audit/suspects.csv",
    }
    assert emulated == native


@pytest.mark.portability
@pytest.mark.parametrize("cpu", emulation.CPUS)
def test_detected_faces_are_the_same_on_every_cpu(tmp_path, cpu):
    params = merge(PARAMS, {"crop": {"method": "mtcnn"}})
    native, emulated = both(tmp_path, cpu, params, ["check;crop eval"])
    assert emulated == native


@pytest.mark.portability
@pytest.mark.parametrize("cpu", emulation.CPUS)
def test_the_stages_write_the_same_bytes_on_every_cpu(tmp_path, cpu):
    native, emulated = both(tmp_path, cpu, PARAMS, CHAIN)
    assert native.keys() >= {
        "models/bundle/all-0-0.onnx",
        "models/bundle/bundle.json",
        "data/pseudo_labels/all-0.csv",
        "reports/evaluate/calibration.png",
    }
    assert emulated == native


@pytest.mark.portability
@pytest.mark.skipif(not emulation.has_avx512(), reason="this CPU has no AVX-512")
def test_a_training_with_a_cpu_dependent_square_root_differs(tmp_path):
    groups = [PREPARED + ";train age-value 0 0"]  # with adamp, which takes the root of a tensor
    native, emulated = both(tmp_path, HASWELL, PARAMS, groups, "--plain-kernels")
    weights = "models/trained/age-value/0-0.safetensors"
    assert native[weights] != emulated[weights]
    assert native["data/crops/train.npy"] == emulated["data/crops/train.npy"]
