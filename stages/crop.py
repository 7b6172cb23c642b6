"""Find the face on every photo of one set and store the square crop around it."""

from pathlib import Path

from portrait18.core import params, processes, runs
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.cropping.builder import CropJob, build
from portrait18.dataset import tables
from stages._fingerprint import code_fingerprint


def main(split: str) -> None:
    tune_malloc()
    processes.init()
    set_deterministic()
    job = CropJob(
        inventory=tables.read(f"data/photos/{split}.csv"),
        folder=Path("data/crops"),
        name=split,
        params=params.load().crop,
        work_dir=runs.crop_work_dir(split),
        device=device(),
        code=code_fingerprint("crop"),
    )
    with oom_hint("crop.batch_size"):
        table = build(job)
    if table is not None:
        print(f"{split}: {len(table)} photos cropped")
