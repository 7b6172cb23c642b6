"""Every optimizer, loss and head trains to the same weights on every x86-64 CPU with AVX2.

`make portability` runs these tests, which take too long for .ci/run.
"""

import emulation
import pytest
from portable_project import PARAMS, PREPARED, both

from recipes.values import merge

REASON = emulation.missing()
pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.portability,
    pytest.mark.skipif(bool(REASON), reason=REASON),
    # Other programs may share the cores.
    pytest.mark.timeout(4 * 3600),
]
PARTS = ("train", "eval")
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
