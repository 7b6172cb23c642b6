"""The steps of `benchmarks.gpu_check`, in their order; each returns numbers or raises an error."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage_project import REPO, StageProject

MAX_BOX_DIFFERENCE = 1.0  # pixels, between MTCNN's boxes on the GPU and on the CPU


@dataclass(frozen=True)
class Settings:
    """What the check runs on."""

    data: Path
    people: int
    device: str


#: Name -> step and its time limit in seconds on a GPU.
STEPS: dict[str, tuple[Callable[[Settings], dict], float]] = {}


def step(seconds: float) -> Callable:
    """Register a step with its time limit; its docstring's first line is its title."""

    def register(function: Callable[[Settings], dict]) -> Callable[[Settings], dict]:
        STEPS[function.__name__] = (function, seconds)
        return function

    return register


@step(90)
def gpu_tests(settings: Settings) -> dict:
    """Run the tests marked gpu."""
    files = [str(p) for p in (REPO / "tests").rglob("test_*.py") if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-q", "-rs", *files]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-1000:])
    (summary,) = re.findall(r"^=*\s*(\d+ passed.*?)\s*=*$", done.stdout, re.MULTILINE)
    return {"summary": summary}


@step(60)
def detector_agreement(settings: Settings) -> dict:
    """Compare MTCNN's boxes on this device with those on the CPU."""
    import numpy as np
    import torch

    from portrait18.cropping import faces
    from portrait18.dataset import photos

    paths = sorted((settings.data / "eval/images").iterdir())[:128]
    decoded = [photos.read(path) for path in paths]
    found = {}
    for name in ("cpu", settings.device):
        detector = faces.Detector(0.2, torch.device(name))
        found[name] = faces.find(detector, decoded, 32)
    differences, counts = [], 0
    for (expected, _), (actual, _) in zip(found["cpu"], found[settings.device], strict=True):
        counts += len(expected) != len(actual)
        if expected and actual:
            boxes = np.subtract(expected[0][:4], actual[0][:4])
            differences.append(float(np.abs(boxes).max()))
    worst = max(differences)
    if counts or worst > MAX_BOX_DIFFERENCE:
        raise RuntimeError(f"{counts} photos differ in their faces, boxes by {worst:.3f} px")
    return {"photos": len(paths), "max_box_difference_px": worst}


def _train_params(epochs: int) -> dict:
    return {"common": {"patience": 0}, "mask": {"epochs": epochs}, "age-class": {"epochs": epochs}}


@step(150)
def same_bytes_twice(settings: Settings) -> dict:
    """Crop, train and predict twice from nothing; compare the hashes of all outputs."""
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            project = StageProject(Path(folder, name), settings.device)
            project.link_people(settings.data, min(settings.people, 24), 24)
            project.set_params({"train": _train_params(2)})
            models = ("mask", "age-class")
            stages = ["check", "label", "split", "crop train", "crop eval"]
            stages += [f"train {model} 0 0" for model in models]
            stages += [f"predict {model}" for model in models]
            project.run(*stages)
            digests.append(project.digests("data", "models"))
    first, second = digests
    different = sorted(path for path in first if first[path] != second.get(path))
    if different or first.keys() != second.keys():
        raise RuntimeError(f"{len(different)} of {len(first)} outputs differ: {different[:5]}")
    return {"outputs": len(first)}


@step(150)
def competition(settings: Settings) -> dict:
    """Run the stages from photos to a scored submission with two seeds, as `competition` does."""
    import torch

    changes = {
        "crop": {"image_size": 256, "batch_size": 64},
        "matrix": {"models": ["mask", "gender", "age-class"], "seeds": [0, 1]},
        "train": {
            "common": {"image_size": 224, "batch_size": 64, "patience": 0, "num_workers": 6},
            "mask": {"epochs": 1},
            "gender": {"epochs": 2},
            "age-class": {"epochs": 2},
        },
        "predict": {"batch_size": 256},
    }
    if settings.device == "cpu":
        changes["train"]["common"] |= {"image_size": 96, "num_workers": 0}
        changes["crop"] |= {"image_size": 96}
    with tempfile.TemporaryDirectory() as folder:
        project = StageProject(Path(folder, "project"), settings.device)
        people, photos = project.link_people(settings.data, settings.people, 2 * settings.people)
        project.set_params(changes)
        stages = ["check", "label", "split", "crop train", "crop eval", "group"]
        models = changes["matrix"]["models"]
        stages += [f"train {model} 0 {seed}" for seed in (0, 1) for model in models]
        stages += [f"predict {model}" for model in models]
        seconds = project.run(*stages, "ensemble", "evaluate", "submit", "score")
        metrics = json.loads((project.root / "reports/metrics.json").read_text())
    numbers = {f"seconds_{name.replace(' ', '_')}": round(s, 1) for name, s in seconds.items()}
    numbers |= {"people": people, "eval_photos": photos, "macro_f1": metrics["macro_f1"]}
    if settings.device == "cuda":
        numbers["gpu"] = torch.cuda.get_device_name()
    return numbers


def _random_data(size: int, photos: int):
    """Return training data of random crops; half of the photos are validation photos."""
    import numpy as np
    import pandas as pd

    from portrait18.dataset.classes import age_group, encode
    from portrait18.training.data import TrainingData

    rng = np.random.default_rng(0)
    labels = pd.DataFrame({name: np.arange(photos).astype(str) for name in ("photo", "person")})
    labels["mask"], labels["gender"] = rng.integers(0, 3, photos), rng.integers(0, 2, photos)
    labels["age"] = rng.integers(18, 61, photos)
    labels["age_group"] = labels["age_target"] = age_group(labels.age)
    labels["class"] = encode(labels["mask"], labels.gender, labels.age_group)
    labels["train"], labels["extra"] = 1, 0
    crops = rng.integers(0, 256, (photos, size, size, 3), np.uint8)
    return TrainingData(crops, labels, np.full(photos, 1))


@step(90)
def training_memory(settings: Settings) -> dict:
    """Measure photos per second and peak memory of training at 224 px, batch 64."""
    import torch

    from benchmarks import baseline
    from portrait18.core.device import set_deterministic
    from portrait18.core.runs import Run
    from portrait18.training.trainer import Trainer

    set_deterministic()
    cuda = settings.device == "cuda"
    backbones = ("tf_efficientnet_lite0", "resnet50", "convnext_tiny")[: 3 if cuda else 1]
    size, photos = (224, 1536) if cuda else (64, 128)
    data, numbers = _random_data(size, photos), {}
    common = {"weights": "none", "image_size": size, "batch_size": 64, "num_workers": 8 * cuda}
    model = baseline.load().model("mask")
    for backbone in backbones:
        changed = model.model_copy(update={**common, "backbone": backbone})
        trainer = Trainer(data, changed, Run("check", 0, 0))
        trainer.train_epoch(0)  # warm-up
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        trainer.train_epoch(1)
        numbers[backbone] = {"photos_per_s": round(photos / (time.perf_counter() - start))}
        if cuda:
            peak = torch.cuda.max_memory_allocated() / 2**20
            numbers[backbone]["peak_mib"] = round(peak)
        del trainer
    return numbers


def _benchmark(settings: Settings, minutes: float, rows: list[str]) -> dict:
    command = [sys.executable, "-m", "benchmarks.run", "--device", settings.device]
    command += ["--data", str(settings.data), "--photos", "48", "--rounds", "2"]
    command += ["--minutes", str(minutes)]
    report = REPO / "reports/benchmarks.json"
    before = report.read_text()
    done = subprocess.run([*command, *rows], cwd=REPO, capture_output=True, text=True)
    stored = json.loads(report.read_text()).get(settings.device, {"rows": {}})["rows"]
    if settings.device == "cpu":
        report.write_text(before)  # a dry run measures nothing worth keeping
    missing = re.findall(r"^(\S+) could not be measured", done.stderr, re.MULTILINE)
    measured = [name for name in rows if name not in missing]
    if not measured or (done.returncode and not missing):
        raise RuntimeError(done.stderr[-3000:])
    return {name: stored[name] for name in measured} | {"not_measured": missing}


@step(100)
def benchmark_crop(settings: Settings) -> dict:
    """Measure face detection and cropping versus batched MTCNN."""
    return _benchmark(settings, 0.5, ["detect", "crop-batched"])


@step(60)
def benchmark_train(settings: Settings) -> dict:
    """Measure the training loop versus a plain one."""
    return _benchmark(settings, 0.5, ["train-loop"])


@step(60)
def benchmark_predict(settings: Settings) -> dict:
    """Measure predictions of stored crops versus network by network."""
    return _benchmark(settings, 0.5, ["predict-stored"])


@step(100)
def benchmark_variants(settings: Settings) -> dict:
    """Measure variants of the training loop: precision, memory format, CUDA graphs."""
    rows = ["with-precision", "with-contiguous"]
    return _benchmark(settings, 0.4, rows + ["with-graphs"] * (settings.device == "cuda"))
