"""Combine the metrics, tables and images of a run on one page, reports/report.html."""

from pathlib import Path

import pandas as pd

from portrait18.core import params, runs
from portrait18.core.files import atomic_write, read_json
from portrait18.core.params import Params
from portrait18.dataset import tables
from portrait18.dataset.classes import TASKS
from portrait18.visualization import contact_sheets, report_page

MAX_LINES = 100
REPORTS, EXAMPLES = Path("reports"), Path("data/explain")
EVALUATE, PAGE = REPORTS / "evaluate", REPORTS / "report.html"


def main() -> None:
    p = params.load()
    mistakes = tables.read(EVALUATE / "mistakes.csv")
    suspects = tables.read(REPORTS / "audit/suspects.csv")
    suspects_by_task = {name: suspects[suspects.task == name] for name in TASKS}
    html = report_page.render(
        data=str(p.data.root),
        tasks=TASKS,
        params=Path("params.yaml").read_text(),
        mistake_count=len(mistakes),
        suspect_counts={name: len(table) for name, table in suspects_by_task.items()},
        charts=_charts(),
        sheets=_sheets(),
        photos=_photos(p, mistakes, suspects_by_task),
        **_metrics(),
        **_tables(p),
    )
    with atomic_write(PAGE) as tmp_path:
        tmp_path.write_text(html, encoding="utf-8")
    print(f"{PAGE}: {len(html) / 1e6:.1f} MB in one file, open it in a browser")


def _json(name: str) -> dict:
    return read_json(REPORTS / name)


def _metrics() -> dict:
    """Return the JSON reports of earlier stages."""
    return {
        "check": {**_json("check.json"), "lines": _check_lines()},
        "metrics": _json("metrics.json"),
        "submission": _json("score.json"),
        "labels": _json("label/labels.json"),
        "crops": {split: _json(f"crop/{split}.json") for split in ("train", "eval")},
    }


def _check_lines() -> list[str]:
    """Return the warnings of the stage check, at most MAX_LINES, and print them again."""
    lines = (REPORTS / "check.txt").read_text(encoding="utf-8").splitlines()
    if lines == ["no warnings"]:
        return []
    more = len(lines) - MAX_LINES
    lines = lines[:MAX_LINES] + [f"and {more} more in {REPORTS / 'check.txt'}"] * (more > 0)
    print(*lines, sep="\n")
    return lines


def _tables(p: Params) -> dict:
    """Return the rows of the page's tables."""

    def rows(name: str) -> list[dict]:
        return tables.read(EVALUATE / f"{name}.csv").to_dict("records")

    runs_by_model = runs.runs_by_model(p.matrix, p.pseudo_label)
    return {
        "groups": rows("groups"),
        "decades": rows("age_by_decade"),
        "classes": rows("classification_report"),
        "runs": report_page.run_rows(runs_by_model, p, _json("ensemble.json"), Path()),
    }


def _charts() -> dict[str, dict]:
    """Return the plots."""
    plots = {
        "curves": (
            EVALUATE / "learning_curves.png",
            "Validation macro-F1, validation loss and training loss over the epochs",
        ),
        "confusion": (EVALUATE / "confusion.png", "Confusion matrix of the 18 classes"),
        "calibration": (EVALUATE / "calibration.png", "Accuracy over confidence for each task"),
        "ages": (EVALUATE / "age_error.png", "Errors of the age group and of years in each decade"),
        "counts": (REPORTS / "label/counts.png", "Photos in each class"),
        **{
            name: (EVALUATE / f"confusion_{name}.png", f"Confusion matrix of {name}")
            for name in TASKS
        },
    }
    return {name: report_page.chart(path, alt) for name, (path, alt) in plots.items()}


def _sheets() -> list[dict]:
    """Return the contact sheets of both photo sets."""
    kinds = {"": "face crops", "_fallbacks": "photos where the first search found no face"}
    return [
        report_page.sheet(
            REPORTS / f"contact_sheets/{split}{suffix}.png", f"Contact sheet: {kind}, set {split}"
        )
        for split in ("train", "eval")
        for suffix, kind in kinds.items()
    ]


def _photos(
    p: Params, mistakes: pd.DataFrame, suspects_by_task: dict[str, pd.DataFrame]
) -> dict[str, list | dict]:
    """Return the photos of mistakes, of suspect labels by task, and of heat maps by model."""
    return {
        "mistakes": report_page.photos(
            EVALUATE / "mistakes.png",
            report_page.mistake_captions(mistakes),
            contact_sheets.LARGE,
        ),
        "suspects": {
            name: report_page.photos(
                REPORTS / f"audit/{name}.png",
                report_page.suspect_captions(table),
                contact_sheets.SMALL,
            )
            for name, table in suspects_by_task.items()
        },
        "heatmaps": {
            model: report_page.photos(
                REPORTS / f"explain/{model}.png",
                report_page.heatmap_captions(tables.read(EXAMPLES / f"{model}.csv")),
                contact_sheets.LARGE,
            )
            for model in p.matrix.all_models
        },
    }
