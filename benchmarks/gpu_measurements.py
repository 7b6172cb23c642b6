"""Steps of `benchmarks.gpu_check` that measure; see `benchmarks.gpu_steps`."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.gpu_steps import FACE_NETWORKS, Settings
from benchmarks.stage_project import REPO, StageProject

#: Between features on the GPU and on the CPU, relative to their standard deviation; float16 alone
#: rounds by 0.001.
MAX_FEATURE_DIFFERENCE = 0.02
STARTER = REPO / "portrait18/starter"  # a bundle that comes with the sources


def face_features(settings: Settings) -> dict:
    """Measure the features of frozen face networks, and compare them with those of the CPU."""
    import numpy as np
    import torch

    from portrait18.core.device import set_deterministic
    from portrait18.core.feature_params import View
    from portrait18.models.extraction import Extractor

    set_deterministic()
    photos, batch = (4096, 256) if settings.device == "cuda" else (128, 64)
    crops = np.random.default_rng(0).integers(0, 256, (batch, 160, 160, 3), np.uint8)
    numbers = {}
    for backbone in FACE_NETWORKS:
        device, cpu = (
            Extractor(backbone, "bundled", 160, 0.4, torch.device(name))
            for name in (settings.device, "cpu")
        )
        expected, actual = (extract(crops, [View()]) for extract in (cpu, device))
        difference = np.abs(actual.astype(float) - expected).max() / expected.astype(float).std()
        if difference > MAX_FEATURE_DIFFERENCE:
            raise RuntimeError(f"features of {backbone} differ by {difference:.4f} deviations")
        start = time.perf_counter()
        for _ in range(photos // batch):
            device(crops, [View()])
        rate = photos / (time.perf_counter() - start)
        numbers[backbone] = {"photos_per_s": round(rate), "max_difference": round(difference, 4)}
    return numbers


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
    command += ["--minutes", str(minutes), "--bundle", str(STARTER)]
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


def benchmark_crop(settings: Settings) -> dict:
    """Measure face detection and cropping versus batched MTCNN."""
    return _benchmark(settings, 0.5, ["detect", "crop-batched"])


def benchmark_train(settings: Settings) -> dict:
    """Measure the training loop versus a plain one."""
    return _benchmark(settings, 0.5, ["train-loop"])


def benchmark_predict(settings: Settings) -> dict:
    """Measure predictions of stored crops versus network by network."""
    return _benchmark(settings, 0.5, ["predict-stored"])


def benchmark_serving(settings: Settings) -> dict:
    """Measure start-up and dynamic batching of the server, with the starter model."""
    return _benchmark(settings, 0.5, ["serving-start", "serving"])


def benchmark_variants(settings: Settings) -> dict:
    """Measure variants of the training loop: precision, memory format, CUDA graphs."""
    rows = ["with-precision", "with-contiguous"]
    return _benchmark(settings, 0.4, rows + ["with-graphs"] * (settings.device == "cuda"))
