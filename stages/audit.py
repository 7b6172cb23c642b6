"""List the labels that are probably wrong, with a contact sheet for each task."""

from pathlib import Path

from portrait18.dataset import crop_store, tables
from portrait18.dataset.classes import TASKS
from portrait18.dataset.tables import write_csv
from portrait18.evaluation import audit
from portrait18.visualization import contact_sheets

OUT = Path("reports/audit")


def main() -> None:
    predictions = tables.read("data/ensemble/validation.csv")
    found = audit.suspects(predictions, tables.read("data/labels.csv"))
    pixels, table = crop_store.load(Path("data/crops"), "train")
    for name, task in TASKS.items():
        captions = audit.captions(found, task, table.photo, contact_sheets.MAX_PHOTOS)
        contact_sheets.contact_sheet(pixels, captions, OUT / f"{name}.png")
    write_csv(found, OUT / "suspects.csv")
    count = found.task.value_counts()
    near = int((found.years_from_boundary <= audit.NEAR_BOUNDARY).sum())
    print(
        f"suspect labels: mask {count.get('mask', 0)} photos,"
        f" gender {count.get('gender', 0)} persons, age {count.get('age', 0)} persons"
        f" ({near} of them within {audit.NEAR_BOUNDARY} years of a boundary: no label errors)"
    )
