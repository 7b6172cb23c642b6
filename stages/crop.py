"""Find the face on every photo of one set and store the square crop around it."""

import sys
from pathlib import Path

from portrait18 import params, processes, runs
from portrait18.cropping import crops, store
from portrait18.data import tables
from portrait18.device import device, hold_memory, reproducible
from portrait18.errors import memory_set_by, one_line_errors
from portrait18.files import write_json
from portrait18.pictures import sheets


@one_line_errors
def main(name: str) -> None:
    hold_memory()
    processes.join()
    reproducible()
    p = params.load()
    inventory = tables.read(f"data/photos/{name}.csv")
    folder = Path("data/crops")
    with memory_set_by("crop.batch_size"):
        table = crops.build(inventory, folder, name, p.crop, runs.crop_work(name), device())
    if table is None:
        return
    summary = crops.summary(table, inventory)
    write_json(summary, f"reports/crop/{name}.json")
    pixels, _ = store.load(folder, name)
    sheets.contact_sheet(pixels, crops.examples(table, sheets.PHOTOS), f"reports/crop/{name}.png")
    sheets.contact_sheet(pixels, crops.fallbacks(table, sheets.PHOTOS), f"reports/crop/{name}_fallbacks.png")
    print(f"{name}: a face found on {summary['detection_rate']:.1%} of {len(table)} photos")


if __name__ == "__main__":
    main(*sys.argv[1:])
