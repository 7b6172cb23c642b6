"""Report how the faces of both crop stores were found: detection rates and contact sheets."""

from pathlib import Path

from portrait18.core.files import write_json
from portrait18.cropping.summary import examples, fallbacks, summarize
from portrait18.dataset import crop_store, tables
from portrait18.visualization import contact_sheets

REPORTS, SHEETS = Path("reports/crop"), Path("reports/contact_sheets")


def main() -> None:
    for split in ("train", "eval"):
        pixels, table = crop_store.load(Path("data/crops"), split)
        summary = summarize(table, tables.read(f"data/photos/{split}.csv"))
        write_json(summary, REPORTS / f"{split}.json")
        for name, rows in (
            (split, examples(table, contact_sheets.MAX_PHOTOS)),
            (f"{split}_fallbacks", fallbacks(table, contact_sheets.MAX_PHOTOS)),
        ):
            contact_sheets.contact_sheet(pixels, rows, SHEETS / f"{name}.png")
        rate = f"face detected in {summary['detection_rate']:.1%}"
        if summary["found"]["center"]:
            rate = "no face detection, center crops"
        print(f"{split}: {rate} of {len(table)} photos")
