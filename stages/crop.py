"""Find the face on every photo of one set and store the square crop around it."""

from pathlib import Path

from portrait18.core import params, processes, runs
from portrait18.core.device import device, set_deterministic, tune_malloc
from portrait18.core.errors import oom_hint
from portrait18.cropping import builder
from portrait18.dataset import tables
from stages._fingerprint import code_fingerprint


def main(name: str) -> None:
    tune_malloc()
    processes.init()
    set_deterministic()
    p = params.load()
    inventory = tables.read(f"data/photos/{name}.csv")
    folder = Path("data/crops")
    with oom_hint("crop.batch_size"):
        table = builder.build(
            inventory,
            folder,
            name,
            p.crop,
            runs.crop_work_dir(name),
            device(),
            code_fingerprint("crop"),
        )
    if table is not None:
        print(f"{name}: {len(table)} photos cropped")
