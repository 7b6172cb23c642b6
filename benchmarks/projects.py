"""Whole projects in a folder of their own, for real `dvc` commands."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from benchmarks import side
from benchmarks.side import REPO, NotMeasured
from portrait18.dataset.classes import MASK_BY_STEM
from portrait18.dataset.tables import read_user_csv

SOURCES = ("portrait18", "stages", "dvc.yaml", ".dvcignore", "data/label_fixes.csv", "data/extra")


class Project:
    """A copy of the pipeline without its data.

    Args:
        root: a folder that is not there yet.
        device: cpu or cuda; with cpu the stages see no GPU.
        changes: dotted param -> value, e.g. {"split.folds": 5}.
    """

    def __init__(self, root: Path, device: str, changes: dict):
        self.root, self.log = root, root / "stages.jsonl"
        for name in SOURCES:
            source, target = REPO / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        params = yaml.safe_load((REPO / "params.yaml").read_text())
        for dotted, value in {
            "data.root": "data/photos-to-measure",
            "data.extra": "data/extra",
            **changes,
        }.items():
            section, key = dotted.rsplit(".", 1)
            at = params
            for part in section.split("."):
                at = at[part]
            at[key] = value
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        self.data = root / "data/photos-to-measure"
        programs = root / "programs"
        programs.mkdir()
        shim = programs / "python"
        shim.write_text(
            f"#!/bin/sh\nexec '{sys.executable}' -I -S '{Path(side.__file__).with_name('timer.py')}' \"$@\"\n"
        )
        shim.chmod(0o755)
        path = os.pathsep.join(
            [str(programs), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        )
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        self.env = {
            **os.environ,
            **hidden,
            "PATH": path,
            "PYTHONPATH": "",
            "BENCHMARK_LOG": str(self.log),
        }
        self.env["DVC_SITE_CACHE_DIR"] = str(root / "site-cache")
        self.dvc("init", "--no-scm", "--quiet", seconds=600)
        config = (REPO / ".dvc/config").read_text()
        (root / ".dvc/config").write_text(
            config.replace("[core]\n", "[core]\n    no_scm = true\n", 1)
        )

    def dvc(self, *words: str, seconds: float, threads: int | None = None) -> tuple[float, str]:
        """Run a dvc command; its seconds and what it printed. `NotMeasured` if it fails or takes longer than `seconds`.

        Args:
            threads: of each process; None: as many as it takes by itself.
        """
        start = time.monotonic()
        command = [sys.executable, "-m", "dvc", *words]
        env = {**self.env, "OMP_NUM_THREADS": str(threads)} if threads else self.env
        with tempfile.TemporaryFile("w+") as log:
            running = subprocess.Popen(
                command, cwd=self.root, env=env, stdout=log, stderr=log, start_new_session=True
            )
            try:
                status = running.wait(seconds)
            except BaseException as error:
                os.killpg(running.pid, 9)
                running.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise NotMeasured(
                        f"dvc {words[0]} took more than {seconds / 60:.0f} minutes; --minutes"
                    ) from None
                raise
            log.seek(0)
            printed = log.read()
        if status:
            raise NotMeasured(f"dvc {words[0]} ended with status {status}:\n{printed[-2000:]}")
        return time.monotonic() - start, printed

    def stage_seconds(self) -> dict[str, float]:
        """Stage -> seconds of all its processes, from the start of Python to its end."""
        total: dict[str, float] = {}
        for line in self.log.read_text().splitlines():
            words, seconds = json.loads(line)
            stage = words[1].removeprefix("stages.")
            total[stage] = total.get(stage, 0.0) + seconds
        return total


def link_people(data: Path, target: Path, people: int, eval_photos: int) -> tuple[int, int]:
    """A smaller data set of the first people and photos to label of another; how many there are. Files are shared."""
    listed = (data / "train/train.csv").read_text().splitlines()
    names = read_user_csv(data / "train/train.csv", ["path"]).path[:people]
    files = [file for name in names for file in sorted((data / "train/images" / name).iterdir())]
    wanted = (data / "eval/info.csv").read_text().splitlines()[: eval_photos + 1]
    files += [
        data / "eval/images" / name
        for name in read_user_csv(data / "eval/info.csv", ["ImageID"]).ImageID[:eval_photos]
    ]
    for file in files:
        to = target / file.relative_to(data)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.resolve(), to)
        except OSError:  # another disk
            shutil.copy(file, to)
    (target / "train/train.csv").write_text("\n".join(listed[: people + 1]) + "\n")
    (target / "eval/info.csv").write_text("\n".join(wanted) + "\n")
    return len(names), len(wanted) - 1


def synthetic_photos(target: Path, photos: int) -> None:
    """A data set of small photos in the competition's proportions, three fifths to train on; no two are equal."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)).save(
        out, "JPEG"
    )
    number = iter(range(photos))

    def write(path: Path) -> None:
        path.write_bytes(
            out.getvalue() + next(number).to_bytes(4, "big")
        )  # decoders stop before what they don't know

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
    labelled = [f"{i:06d}.jpg" for i in range(photos - len(people) * len(MASK_BY_STEM))]
    for name in labelled:
        write(target / "eval/images" / name)
    rows = [",".join([*name.split("_"), name]) for name in people]
    (target / "train/train.csv").write_text("\n".join(["id,gender,race,age,path", *rows]) + "\n")
    (target / "eval/info.csv").write_text(
        "\n".join(["ImageID,ans", *(f"{name},0" for name in labelled)]) + "\n"
    )
