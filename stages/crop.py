"""Find the face on every photo of one set and store the square crop around it."""

import sys
from pathlib import Path

from portrait18.core import params, processes, runs
from portrait18.core.device import device, hold_memory, reproducible
from portrait18.core.errors import memory_set_by, one_line_errors
from portrait18.core.files import write_json
from portrait18.cropping import builder
from portrait18.dataset import crop_store, tables
from portrait18.visualization import contact_sheets


@one_line_errors
def main(name: str) -> None:
    hold_memory()
    processes.join()
    reproducible()
    p = params.load()
    inventory = tables.read(f"data/photos/{name}.csv")
    folder = Path("data/crops")
    with memory_set_by("crop.batch_size"):
        table = builder.build(inventory, folder, name, p.crop, runs.crop_work(name), device())
    if table is None:
        return
    summary = builder.summary(table, inventory)
    write_json(summary, f"reports/crop/{name}.json")
    pixels, _ = crop_store.load(folder, name)
    contact_sheets.contact_sheet(pixels, builder.examples(table, contact_sheets.PHOTOS), f"reports/crop/{name}.png")
    contact_sheets.contact_sheet(pixels, builder.fallbacks(table, contact_sheets.PHOTOS), f"reports/crop/{name}_fallbacks.png")
    print(f"{name}: a face found on {summary['detection_rate']:.1%} of {len(table)} photos")


if __name__ == "__main__":
    main(*sys.argv[1:])
