"""Gather the figures and pictures of a run on one page, reports/report.html."""

from pathlib import Path

from portrait18.core import params, runs
from portrait18.core.files import atomic_write, read_json
from portrait18.dataset import tables
from portrait18.dataset.classes import TASKS
from portrait18.visualization import contact_sheets, report_page

REPORTS, HEATMAPS = Path("reports"), Path("data/explain")


def _json(name: str) -> dict:
    return read_json(REPORTS / name)


def main() -> None:
    p = params.load()
    wanted = runs.runs_by_model(p.matrix, p.pseudo_label)
    evaluated, ensemble = REPORTS / "evaluate", _json("ensemble.json")
    mistakes, suspects = (
        tables.read(evaluated / "mistakes.csv"),
        tables.read(REPORTS / "audit/suspects.csv"),
    )
    suspects_of = {name: suspects[suspects.task == name] for name in TASKS}
    html = report_page.render(
        data=str(p.data.root),
        checked=_json("check.json"),
        metrics=_json("metrics.json"),
        submission=_json("score.json"),
        labels=_json("label/labels.json"),
        cropped={name: _json(f"crop/{name}.json") for name in ("train", "eval")},
        tasks=TASKS,
        groups=tables.read(evaluated / "groups.csv").to_dict("records"),
        decades=tables.read(evaluated / "age_by_decade.csv").to_dict("records"),
        classes=tables.read(evaluated / "classification_report.csv").to_dict("records"),
        trainings=report_page.trainings(wanted, p, ensemble, Path()),
        mistakes=len(mistakes),
        suspects={name: len(table) for name, table in suspects_of.items()},
        params=Path("params.yaml").read_text(),
        charts={
            "curves": report_page.chart(
                evaluated / "learning_curves.png", "Held-out macro-F1 and loss over the epochs"
            ),
            "confusion": report_page.chart(
                evaluated / "confusion.png", "Confusion matrix of the 18 classes"
            ),
            "calibration": report_page.chart(
                evaluated / "calibration.png", "Accuracy over confidence for each task"
            ),
            "ages": report_page.chart(
                evaluated / "age_error.png", "Wrong age groups and years off in each decade"
            ),
            "counts": report_page.chart(REPORTS / "label/counts.png", "Photos in each class"),
            **{
                name: report_page.chart(
                    evaluated / f"confusion_{name}.png", f"Confusion matrix of {name}"
                )
                for name in TASKS
            },
        },
        sheets={
            (name, end): report_page.sheet(
                REPORTS / f"crop/{name}{end}.png", f"Contact sheet: {what}, set {name}"
            )
            for name in ("train", "eval")
            for end, what in (
                ("", "face crops"),
                ("_fallbacks", "photos where the first search found no face"),
            )
        },
        photos={
            "mistakes": report_page.photos(
                evaluated / "mistakes.png", report_page.mistakes(mistakes), contact_sheets.LARGE
            ),
            "suspects": {
                name: report_page.photos(
                    REPORTS / f"audit/{name}.png", report_page.suspects(table), contact_sheets.SMALL
                )
                for name, table in suspects_of.items()
            },
            "heatmaps": {
                model: report_page.photos(
                    REPORTS / f"explain/{model}.png",
                    report_page.looked_at(tables.read(HEATMAPS / f"{model}.csv")),
                    contact_sheets.LARGE,
                )
                for model in p.matrix.models
            },
        },
    )
    with atomic_write(REPORTS / "report.html") as tmp_path:
        tmp_path.write_text(html, encoding="utf-8")
    print(f"{REPORTS / 'report.html'}: {len(html) / 1e6:.1f} MB, needs nothing beside it")
