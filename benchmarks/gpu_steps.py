"""Steps of `benchmarks.gpu_check` that compare; each returns numbers or raises an error."""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage_project import REPO, StageProject

MAX_BOX_DIFFERENCE = 1.0  # pixels, between MTCNN's boxes on the GPU and on the CPU
FACE_NETWORKS = ["sface", "dlib_resnet"]
PARTS = ("train", "eval")


@dataclass(frozen=True)
class Settings:
    """What the check runs on."""

    data: Path
    people: int
    device: str


def gpu_tests(settings: Settings) -> dict:
    """Run the tests marked gpu."""
    files = [str(p) for p in (REPO / "tests").rglob("test_*.py") if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-rs", *files]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-1000:])
    # In a dry run all of them are skipped.
    outcome = "passed" if settings.device == "cuda" else "passed|skipped"
    summaries = re.findall(rf"^=*\s*(\d+ (?:{outcome}).*?)\s*=*$", done.stdout, re.MULTILINE)
    if not summaries:
        raise RuntimeError(f"no test ran\n{done.stdout[-3000:]}")
    return {"summary": summaries[-1]}


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
    for cpu, gpu in zip(found["cpu"], found[settings.device], strict=True):
        expected, actual = cpu.faces, gpu.faces
        counts += len(expected) != len(actual)
        if expected and actual:
            boxes = np.subtract(expected[0][:4], actual[0][:4])
            differences.append(float(np.abs(boxes).max()))
    worst = max(differences)
    if counts or worst > MAX_BOX_DIFFERENCE:
        raise RuntimeError(f"{counts} photos differ in their faces, boxes by {worst:.3f} px")
    return {"photos": len(paths), "max_box_difference_px": worst}


def same_bytes_twice(settings: Settings) -> dict:
    """Crop, train, fit and predict twice from nothing; compare the hashes of all outputs."""
    models, frozen = ["mask", "age-class"], ["gender-face"]
    params = {
        "crop": {"image_size": 160, "align": "five_points"},
        "features": {"backbones": FACE_NETWORKS},
        "matrix": {"models": models, "frozen": frozen},
        "train": {"common": {"patience": 0}, **{model: {"epochs": 2} for model in models}},
    }
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            project = StageProject(Path(folder, name), settings.device)
            project.link_people(settings.data, min(settings.people, 24), 24)
            project.set_params(params)
            stages = ["check", "label", "split", "crop train", "crop eval"]
            stages += [f"train {model} 0 0" for model in models]
            stages += [f"predict {model}" for model in models]
            stages += [f"features {name} {part}" for name in FACE_NETWORKS for part in PARTS]
            stages += [f"fit {model}" for model in frozen]
            project.run(*stages)
            digests.append(project.digests("data", "models"))
    first, second = digests
    different = sorted(path for path in first if first[path] != second.get(path))
    if different or first.keys() != second.keys():
        raise RuntimeError(f"{len(different)} of {len(first)} outputs differ: {different[:5]}")
    return {"outputs": len(first)}
