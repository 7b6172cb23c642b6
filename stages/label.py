"""Label every training photo, apply known fixes and report the class counts."""

from pathlib import Path

from portrait18.core import params
from portrait18.core.files import write_json
from portrait18.dataset import labels, tables
from portrait18.dataset.tables import write_csv
from portrait18.visualization import plots

REPORTS = Path("reports/label")


def main() -> None:
    table, report = labels.make(
        tables.read("data/photos/train.csv"),
        labels.read_fixes(Path("data/label_fixes.csv")),
        params.load().label,
    )
    by_column, by_class = labels.counts(table)
    write_csv(table, "data/labels.csv")
    write_csv(by_column, REPORTS / "columns.csv")
    write_csv(by_class, REPORTS / "classes.csv")
    plots.class_counts(by_column, by_class, REPORTS / "counts.png")
    write_json(
        {
            "photos": len(table),
            "people": table.person.nunique(),
            "left_out_of_training": int((table.train == 0).sum()),
            **report,
        },
        REPORTS / "labels.json",
    )
    print(
        f"{len(table)} photos labeled, {len(report['fixed'])} labels fixed,"
        f" {len(report['suspect'])} suspect entries in {REPORTS / 'labels.json'}"
    )
