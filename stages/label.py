"""Labels for every training photo, with known errors repaired, and a report of how uneven they are."""

from pathlib import Path

from portrait18.core import params
from portrait18.core.files import write_json
from portrait18.dataset import labels, tables
from portrait18.dataset.tables import write_csv
from portrait18.visualization import plots


def main() -> None:
    table, report = labels.make(
        tables.read("data/photos/train.csv"),
        labels.read_fixes(Path("data/label_fixes.csv")),
        params.load().label,
    )
    by_column, by_class = labels.counts(table)
    write_csv(table, "data/labels.csv")
    write_csv(by_column, "reports/label/columns.csv")
    write_csv(by_class, "reports/label/classes.csv")
    plots.class_counts(by_column, by_class, "reports/label/counts.png")
    write_json(
        {
            "photos": len(table),
            "people": table.person.nunique(),
            "left_out_of_training": int((table.train == 0).sum()),
            **report,
        },
        "reports/label/labels.json",
    )
    print(
        f"{len(table)} photos labelled, {len(report['fixed'])} labels fixed, {len(report['suspect'])} things to look at in reports/label/labels.json"
    )
