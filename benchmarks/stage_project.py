"""A copy of the pipeline whose stages are called directly, without DVC."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from benchmarks import baseline
from recipes.values import merge

REPO = Path(__file__).resolve().parents[1]
SOURCES = ("portrait18", "stages", "dvc.yaml", "data/label_fixes.csv", "data/extra")
DATA = "data/photos-to-measure"
SECONDS = "seconds of the stage:"
#: Run the stages named by the arguments one after the other and print the seconds of each.
RUN_STAGES = f"""
import importlib, sys, time
for stage in sys.argv[1:]:
    start = time.monotonic()
    name, *arguments = stage.split()
    importlib.import_module("stages." + name).main(*arguments)
    print("{SECONDS}", time.monotonic() - start, flush=True)
"""


class StageProject:
    """A folder that links to the sources and has its own params and outputs.

    Args:
        root: a folder that does not exist yet.
        device: cpu or cuda; with cpu the stages see no GPU.
    """

    def __init__(self, root: Path, device: str):
        self.root = root
        for name in SOURCES:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(REPO / name)
        self.params = baseline.raw()
        self.set_params({"data": {"root": DATA}})
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        self.env = {**os.environ, **hidden}

    def set_params(self, changes: dict) -> None:
        self.params = merge(self.params, changes)
        path = self.root / "params.yaml"
        path.write_text(yaml.safe_dump(self.params, sort_keys=False))

    def link_people(self, data: Path, people: int, eval_photos: int) -> tuple[int, int]:
        """Link the first people and evaluation photos of a data set; return how many there are."""
        target = self.root / DATA
        (target / "train/images").mkdir(parents=True)
        (target / "eval/images").mkdir(parents=True)
        rows = (data / "train/train.csv").read_text().splitlines()[: people + 1]
        (target / "train/train.csv").write_text("\n".join(rows) + "\n")
        for row in rows[1:]:
            folder = row.rsplit(",", 1)[1]
            (target / "train/images" / folder).symlink_to(data / "train/images" / folder)
        names = (data / "eval/info.csv").read_text().splitlines()[: eval_photos + 1]
        (target / "eval/info.csv").write_text("\n".join(names) + "\n")
        for name in (line.split(",")[0] for line in names[1:]):
            (target / "eval/images" / name).symlink_to(data / "eval/images" / name)
        return len(rows) - 1, len(names) - 1

    def run(self, *stages: str) -> dict[str, float]:
        """Run stages such as `train mask 0 0` in one process; return the seconds of each.

        One process, because importing PyTorch and starting CUDA take longer than small stages.

        Raises:
            RuntimeError: a stage failed; the message ends with its output.
        """
        command = [sys.executable, "-c", RUN_STAGES, *stages]
        env = {**self.env, "PYTHONPATH": os.pathsep.join([str(self.root), *sys.path])}
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"a stage failed:\n{(done.stdout + done.stderr)[-2500:]}")
        times = [line for line in done.stdout.splitlines() if line.startswith(SECONDS)]
        return {stage: float(line.split()[-1]) for stage, line in zip(stages, times, strict=True)}

    def digests(self, *folders: str) -> dict[str, str]:
        """Return the SHA-256 of each file that the stages wrote in these folders."""
        found = {}
        for folder in folders:
            for path in sorted((self.root / folder).rglob("*")):
                name = path.relative_to(self.root).as_posix()
                if path.is_file() and not path.is_symlink() and not name.startswith(DATA):
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found
