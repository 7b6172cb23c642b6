"""Copies of the project in folders of their own, for real `dvc` commands."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image

from benchmarks import baseline, side
from benchmarks.side import REPO, MeasurementError, hide_gpu
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.tables import read_user_csv

SOURCES = ("portrait18", "stages", "dvc.yaml", ".dvcignore", "data/label_fixes.csv", "data/extra")
DATA = "data/photos-to-measure"


class Project:
    """A copy of the pipeline without its data.

    Args:
        root: Folder to create.
        device: "cpu" or "cuda"; with "cpu" the stages see no GPU.
        changes: Dotted param -> value, e.g. {"split.folds": 5}.

    Attributes:
        data: Folder of the data set, to be filled.
        log: File with the arguments and seconds of every stage that ran.
    """

    def __init__(self, root: Path, device: str, changes: dict):
        root = root.absolute()  # commands run there
        self.root, self.data, self.log = root, root / DATA, root / "stages.jsonl"
        for name in SOURCES:
            source, target = REPO / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        _write_params(
            root / "params.yaml", {"data.root": DATA, "data.extra": "data/extra"}, changes
        )
        programs = [_write_timed_python(root / "programs"), Path(sys.executable).parent]
        path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")])
        self.env = {
            **os.environ,
            **hide_gpu(device),
            "PATH": path,
            "PYTHONPATH": "",
            "BENCHMARK_LOG": str(self.log),
            "DVC_SITE_CACHE_DIR": str(root / "site-cache"),
        }
        self.dvc("init", "--no-scm", "--quiet", seconds=600)
        config = (REPO / ".dvc/config").read_text()
        (root / ".dvc/config").write_text(
            config.replace("[core]\n", "[core]\n    no_scm = true\n", 1)
        )

    def dvc(self, *words: str, seconds: float, threads: int | None = None) -> tuple[float, str]:
        """Run a dvc command.

        Args:
            words: Arguments of dvc.
            seconds: Time limit.
            threads: Threads of each process; None: as many as it chooses.

        Returns:
            Its seconds and its output.

        Raises:
            MeasurementError: It fails or exceeds the time limit.
        """
        start = time.monotonic()
        command = [sys.executable, "-m", "dvc", *words]
        env = {**self.env, "OMP_NUM_THREADS": str(threads)} if threads else self.env
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                command, cwd=self.root, env=env, stdout=log, stderr=log, start_new_session=True
            )
            try:
                status = process.wait(seconds)
            except BaseException as error:
                os.killpg(process.pid, 9)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise MeasurementError(
                        f"dvc {words[0]} did not finish within {seconds / 60:g} minutes; "
                        "allow more with --minutes"
                    ) from None
                raise
            log.seek(0)
            output = log.read()
        if status:
            raise MeasurementError(f"dvc {words[0]} exited with status {status}:\n{output[-2000:]}")
        return time.monotonic() - start, output

    def stage_seconds(self) -> dict[str, float]:
        """Return the seconds of each stage, summed over its processes."""
        return {stage: costs.seconds for stage, costs in stage_costs(self.log).items()}


class StageCosts(NamedTuple):
    """What a stage took.

    Attributes:
        seconds: summed over its processes.
        cpu_seconds: likewise.
        memory: peak anonymous memory of the largest one, bytes.
        processes: their number.
    """

    seconds: float
    cpu_seconds: float
    memory: int
    processes: int


def stage_costs(log: Path) -> dict[str, StageCosts]:
    """Return the costs of each stage in a log of `benchmarks/timer.py`.

    A line is [arguments of python, seconds, CPU seconds, peak memory in bytes], e.g.
    [["-m", "stages", "train", ...], 2.5, 4.0, 1e9].
    """
    total: dict[str, StageCosts] = {}
    for line in log.read_text().splitlines():
        (_, _, stage, *_), seconds, cpu_seconds, memory = json.loads(line)
        known = total.get(stage, StageCosts(0.0, 0.0, 0, 0))
        total[stage] = StageCosts(
            known.seconds + seconds,
            known.cpu_seconds + cpu_seconds,
            max(known.memory, memory),
            known.processes + 1,
        )
    return total


def _write_params(path: Path, *changes: dict) -> None:
    """Write the project's params with changes: dotted param -> value."""
    params = baseline.raw()
    for dotted, value in (item for change in changes for item in change.items()):
        *sections, key = dotted.split(".")
        node = params
        for section in sections:
            node = node[section]
        node[key] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def _write_timed_python(folder: Path) -> Path:
    """Write a `python` that logs its time, see `benchmarks/timer.py`; return its folder."""
    folder.mkdir()
    timer = Path(side.__file__).with_name("timer.py")
    script = folder / "python"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S '{timer}' \"$@\"\n")
    script.chmod(0o755)
    return folder


def link_people(data: Path, target: Path, people: int, eval_photos: int) -> tuple[int, int]:
    """Make a smaller data set of another's first people and evaluation photos, with hard links.

    Returns:
        Number of people and of evaluation photos, which may be fewer than requested.
    """
    train_lines = (data / "train/train.csv").read_text().splitlines()[: people + 1]
    eval_lines = (data / "eval/info.csv").read_text().splitlines()[: eval_photos + 1]
    names = read_user_csv(data / "train/train.csv", ["path"]).path[:people]
    files = [file for name in names for file in sorted((data / "train/images" / name).iterdir())]
    images = read_user_csv(data / "eval/info.csv", ["ImageID"]).ImageID[:eval_photos]
    files += [data / "eval/images" / name for name in images]
    for file in files:
        link = target / file.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.resolve(), link)
        except OSError:  # on another file system
            shutil.copy(file, link)
    (target / "train/train.csv").write_text("\n".join(train_lines) + "\n")
    (target / "eval/info.csv").write_text("\n".join(eval_lines) + "\n")
    return len(names), len(eval_lines) - 1


def synthetic_photos(target: Path, photos: int) -> None:
    """Write a data set of small photos, three fifths of them for training; no two are equal."""
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG")
    number = iter(range(photos))

    def write(path: Path) -> None:
        # Decoders ignore what follows the image.
        path.write_bytes(out.getvalue() + next(number).to_bytes(4, "big"))

    people = [
        f"{i:06d}_{'male' if i % 2 else 'female'}_Asian_{18 + i % 43}"
        for i in range(photos * 3 // 5 // len(MASK_BY_STEM))
    ]
    for name in people:
        folder = target / "train/images" / name
        folder.mkdir(parents=True)
        for state in MASK_BY_STEM:
            write(folder / f"{state}.jpg")
    (target / "eval/images").mkdir(parents=True)
    images = [f"{i:06d}.jpg" for i in range(photos - len(people) * len(MASK_BY_STEM))]
    for name in images:
        write(target / "eval/images" / name)
    rows = [",".join([*name.split("_"), name]) for name in people]
    (target / "train/train.csv").write_text("\n".join(["id,gender,race,age,path", *rows]) + "\n")
    (target / "eval/info.csv").write_text(
        "\n".join(["ImageID,ans", *(f"{name},0" for name in images)]) + "\n"
    )
