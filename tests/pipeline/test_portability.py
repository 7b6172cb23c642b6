"""`compute.arithmetic: portable` gives the same bytes on every x86-64 CPU with AVX2.

qemu emulates other CPUs. `make portability` runs the tests that .ci/run has no time for.
"""

import shutil
from pathlib import Path

import emulation
import pytest
import yaml
from small_params import SMALL
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
PARTS = ("train", "eval")
PEOPLE, EVAL_PHOTOS = 10, 2
SHORT = [
    "check;label;split;crop train;crop eval;train all 0 0;train age-value 0 0"
    ";features tf_efficientnet_lite0 train;features tf_efficientnet_lite0 eval;fit gender"
    ";predict all;predict age-value;ensemble;audit",
]
CHAIN = [
    "check;label;split;crop train;crop eval;train all 0 0;train age-value 0 0",
    "features tf_efficientnet_lite0 train;features tf_efficientnet_lite0 eval;fit gender",
    "predict all;predict age-value;pseudo_label all 0",
    "train all 0 0 2",
    "predict all 2;ensemble;evaluate;audit;submit;export",
]
#: Crops by YuNet and five points: MTCNN takes 3 s a photo under emulation and has its own test.
PARAMS = merge(
    SMALL,
    {
        "crop": {"method": "yunet", "align": "five_points"},
        "matrix": {"models": ["all", "age-value"], "frozen": ["gender"]},
        "features": {
            "backbones": ["tf_efficientnet_lite0"],
            "image_size": 32,
            "views": [{}, {"flip": True}],
        },
        "pseudo_label": {"models": ["all"], "confidence": 0.1},
        "train": {
            "common": {"sampling": {"balance": 0.0, "per_person": 2}},
            "age-value": {"optimizer": "adamp"},
            "gender": {
                "backbone": "tf_efficientnet_lite0",
                "weights": "bundled",
                "head": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
            },
        },
        "ensemble": {"vote": "stacking"},
        "export": {"onnx": True},
    },
)


def make_folder(root: Path, params: dict, people: int = PEOPLE) -> Path:
    """Copy the sources, params with changes, and a few people of the demo."""
    for name in ("portrait18", "stages"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data/extra", "data/demo"):
        (root / name).mkdir(parents=True)
    shutil.copytree(REPO / "data/extra", root / "data/extra", dirs_exist_ok=True)
    shutil.copy(REPO / "dvc.yaml", root)
    shutil.copy(REPO / "data/label_fixes.csv", root / "data")
    base = yaml.safe_load((REPO / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump(merge(base, params), sort_keys=False))
    demo = REPO / "data/demo"
    for part, table, count in (
        ("train", "train.csv", people),
        ("eval", "info.csv", EVAL_PHOTOS),
    ):
        (root / f"data/demo/{part}/images").mkdir(parents=True)
        lines = (demo / part / table).read_text().splitlines()[: count + 1]
        (root / f"data/demo/{part}" / table).write_text("\n".join(lines) + "\n")
        for line in lines[1:]:
            name = line.split(",")[-1 if part == "train" else 0]
            source, target = (base / f"{part}/images" / name for base in (demo, root / "data/demo"))
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return root


def both(
    tmp_path: Path, cpu: str, params: dict, groups: list[str], *flags: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the hashes of a native and of an emulated run."""
    native, emulated = (
        emulation.run_stages(make_folder(tmp_path / str(name), params), name, groups, *flags)
        for name in (None, cpu)
    )
    return native, emulated


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


PREPARED = "check;label;split;crop train"
OPTIMIZERS = (
    *("adamw", "adam", "adamp", "lamb", "madgrad", "adabelief", "radam", "nadamw", "lion"),
    *("rmsprop", "adafactor", "adan", "laprop", "mars", "muon", "sgd"),
)
CLASS_WEIGHT = {"label_smoothing": 0.0, "class_weight": 0.5, "class_weight_from": 0.0}
MODELS = {
    **{f"o-{name}": {"optimizer": name} for name in OPTIMIZERS},
    "focal": {"loss": {"name": "focal", "gamma": 2.0, **CLASS_WEIGHT}},
    "soft-f1": {"loss": "soft-f1"},
    "cosine": {
        "head": {"name": "unit", "scale": 16.0},
        "loss": {"name": "cosine", "weight": 1.0, **CLASS_WEIGHT},
    },
    "ldam": {
        "head": {"name": "cosine", "scale": 16.0},
        "loss": {"name": "ldam", "margin": 0.3, **CLASS_WEIGHT},
    },
    "arcface": {
        "head": {"name": "cosine", "scale": 16.0},
        "loss": {"name": "arcface", "margin": 0.3, **CLASS_WEIGHT},
    },
    "dldl-v2": {
        "task": "age",
        "target": {"name": "distribution", "sigma": 4.0},
        "loss": {"name": "dldl-v2", "weight": 1.0},
    },
    "halves": {"mix": {"name": "halves", "partner": "any", "probability": 1.0}},
    "mixup": {"mix": {"name": "mixup", "alpha": 0.4, "partner": "any", "probability": 1.0}},
    "cutmix": {"mix": {"name": "cutmix", "alpha": 0.4, "partner": "any", "probability": 1.0}},
    "vit": {"backbone": "vit_tiny_patch16_224", "image_size": 32},
    "lite0": {"backbone": "tf_efficientnet_lite0"},
}


@pytest.mark.portability
@pytest.mark.parametrize("cpu", emulation.CPUS)
def test_every_optimizer_and_loss_trains_to_the_same_weights_on_every_cpu(tmp_path, cpu):
    task = {"task": "all", "target": "classes", "lr": 0.001, "epochs": 1}
    years = ["age-value", "age-distribution", "age-rank", "age-bins", "heads"]
    models = [*MODELS, *years]
    params = merge(
        PARAMS,
        {
            "matrix": {"models": models, "frozen": []},
            "pseudo_label": {"models": []},
            "train": {
                **{name: task | changes for name, changes in MODELS.items()},
                **{name: {"epochs": 1} for name in years},
            },
        },
    )
    groups = [";".join([PREPARED, *(f"train {name} 0 0" for name in models)])]
    native, emulated = both(tmp_path, cpu, params, groups)
    assert {path for path in native if native[path] != emulated[path]} == set()
    assert len([path for path in native if path.startswith("models/trained/")]) == len(models)


HEADS = {
    "mask": {"name": "mlp", "width": 8, "depth": 1},
    "gender": {"name": "ridge", "gamma": 0.4, "penalty": 0.5},
    "age-class": {"name": "kernel", "gamma": 0.4, "C": 1.0, "landmarks": 20},
}


@pytest.mark.portability
@pytest.mark.parametrize("cpu", emulation.CPUS)
def test_heads_on_face_features_are_the_same_on_every_cpu(tmp_path, cpu):
    model = {"backbone": "sface+dlib_resnet", "weights": "bundled", "epochs": 1}
    params = merge(
        PARAMS,
        {
            "crop": {"image_size": 144},
            "matrix": {"models": [], "frozen": list(HEADS)},
            "features": {
                "backbones": ["sface", "dlib_resnet"],
                "image_size": 144,
                "views": [{}],
                "test_views": 1,
            },
            "pseudo_label": {"models": []},
            "train": {task: {**model, "head": head} for task, head in HEADS.items()},
        },
    )
    features = (f"features {name} {part}" for name in ("sface", "dlib_resnet") for part in PARTS)
    fits = (f"fit {name}" for name in HEADS)
    groups = [";".join([PREPARED, "crop eval", *features, *fits, "ensemble"])]
    native, emulated = both(tmp_path, cpu, params, groups)
    assert {path for path in native if native[path] != emulated[path]} == set()
    assert len([path for path in native if path.endswith(".safetensors")]) == len(HEADS)


@pytest.mark.portability
@pytest.mark.skipif(not emulation.has_avx512(), reason="this CPU has no AVX-512")
def test_a_training_with_a_cpu_dependent_square_root_differs(tmp_path):
    groups = [PREPARED + ";train age-value 0 0"]  # with adamp, which takes the root of a tensor
    native, emulated = both(tmp_path, HASWELL, PARAMS, groups, "--plain-kernels")
    weights = "models/trained/age-value/0-0.safetensors"
    assert native[weights] != emulated[weights]
    assert native["data/crops/train.npy"] == emulated["data/crops/train.npy"]
