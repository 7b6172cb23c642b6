import base64
import io
import re

import jinja2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic import write_params

from portrait18.core import params, runs
from portrait18.core.params import MatrixParams, PseudoLabelParams
from portrait18.visualization import contact_sheets, report_page
from portrait18.visualization.contact_sheets import Layout

LAYOUT = Layout(2, 32, 1)
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def decoded(uri: str) -> Image.Image:
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", uri).groups()
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.format.lower() == kind
    return image


@pytest.fixture
def sheet(tmp_path):
    """Return a contact sheet of a red, a green and a blue photo."""
    crops = np.stack([np.full((8, 8, 3), color, np.uint8) for color in COLORS])
    contact_sheets.contact_sheet(
        crops, dict.fromkeys(range(3), "x"), tmp_path / "sheet.png", LAYOUT
    )
    return tmp_path / "sheet.png"


def test_photos_of_a_sheet_are_embedded_one_by_one_with_their_captions(sheet):
    found = report_page.photos(
        sheet, [("true: red", "predicted: green"), ("true: green",), ("true: blue",)], LAYOUT
    )
    assert [p["alt"] for p in found] == [
        "Photo: true: red, predicted: green",
        "Photo: true: green",
        "Photo: true: blue",
    ]
    for photo, color in zip(found, COLORS, strict=True):
        pixels = np.asarray(decoded(photo["src"]))
        assert pixels.shape == (32, 32, 3)
        assert np.abs(pixels.mean((0, 1)) - color).max() < 5


def test_captions_beyond_the_limit_of_a_sheet_are_ignored(sheet, monkeypatch):
    monkeypatch.setattr(contact_sheets, "MAX_PHOTOS", 2)
    assert len(report_page.photos(sheet, [("a",)] * 9, LAYOUT)) == 2


def test_images_keep_their_size_and_charts_their_bytes(sheet):
    chart, whole = report_page.chart(sheet, "a chart"), report_page.sheet(sheet, "a sheet")
    assert base64.b64decode(chart["src"].split(",")[1]) == sheet.read_bytes()
    assert (
        decoded(chart["src"]).size
        == decoded(whole["src"]).size
        == (chart["width"], chart["height"])
    )
    assert (chart["alt"], whole["alt"]) == ("a chart", "a sheet")


def test_captions_show_truth_prediction_and_probability():
    wrong = pd.DataFrame(
        {"truth": ["worn male <30"], "predicted": ["none male <30"], "probability": [0.876]}
    )
    assert report_page.mistake_captions(wrong) == [
        ("true: worn male <30", "predicted: none male <30", "p = 0.88")
    ]
    suspect = pd.DataFrame({"recorded": ["male"], "suggested": ["female"], "quality": [0.012]})
    assert report_page.suspect_captions(suspect) == [
        ("label: male", "suggested: female", "p(label) = 0.01")
    ]
    examples = pd.DataFrame(
        {"task": ["age"], "truth": [2], "predicted": [1], "probability": [0.5], "correct": [0]}
    )
    assert report_page.heatmap_captions(examples) == [
        ("age: old", "predicted: middle, wrong", "p = 0.50")
    ]


def test_run_rows_have_epochs_best_score_and_ensemble_weights(tmp_path):
    p = params.load(write_params(tmp_path / "params.yaml", {"pseudo_label.models": ["mask"]}))
    matrix = MatrixParams(
        models=["mask", "gender", "age-class"], frozen=[], folds=[0, 1], seeds=[0]
    )
    runs_by_model = runs.runs_by_model(matrix, PseudoLabelParams(models=["mask"], confidence=0.9))
    for group in runs_by_model.values():
        for run in group:
            scores = pd.DataFrame({"step": [0, 1, 2], "macro_f1": [0.1, 0.5 + run.fold / 10, 0.3]})
            (folder := tmp_path / run.live / "plots/metrics").mkdir(parents=True)
            scores.to_csv(folder / "macro_f1.tsv", sep="\t", index=False)
    ensemble = {
        "mask": {"weights": {"mask": 0.25, "mask-round2": 0.75}},
        "age": {"weights": {"age-class": 1.0}},
        "thresholds": {"young_middle": 31.0},
    }
    table = pd.DataFrame(report_page.run_rows(runs_by_model, p, ensemble, tmp_path)).set_index(
        "run"
    )
    assert list(table.index) == [
        f"{m} {f}-0" for m in ("mask", "gender", "age-class", "mask-round2") for f in (0, 1)
    ]
    assert table.best["mask 0-0"] == 0.5
    assert table.best["mask-round2 1-0"] == 0.6
    assert table.epochs["mask 0-0"] == "3 of 4"
    assert table.epochs["age-class 0-0"] == "3 of 8"
    assert table.weights["mask-round2 0-0"] == "mask 0.75"
    assert table.weights["gender 0-0"] == ""
    assert table.task["age-class 1-0"] == "age"
    assert table.lr["mask 0-0"] == 0.001


def test_rendering_without_a_variable_of_the_template_fails():
    with pytest.raises(jinja2.UndefinedError):
        report_page.render(data="data/demo")


def scores(**more) -> dict:
    return {"macro_f1": 0.5, "accuracy": 0.75, "loss": 1.25, **more}


@pytest.fixture
def content(sheet) -> dict:
    """Return everything that the page shows, with one row in every table and no submission."""
    chart, photos = report_page.chart(sheet, "a chart"), report_page.photos(sheet, [("x",)], LAYOUT)
    baseline = {"macro_f1": 0.125, "accuracy": 0.25}
    rates = {"detection_rate": 0.996, "detection_rate_by_mask": {"worn": 0.99, "none": 1.0}}
    task = scores(calibration_error=0.05, recall={"worn": 0.625}, baseline=baseline)
    group = {"group": "gender", "value": "male", "photos": 7}
    accuracies = dict.fromkeys(("mask", "gender", "age", "all"), 0.875)
    decade = {"decade": "20s", "photos": 7, "wrong_group": 0.5}
    errors = {"mean_absolute_error_years": 3.25, "mean_error_years": float("nan")}
    run = {"run": "mask 0-0", "task": "mask", "target": "classes", "loss": "focal"}
    model = {"backbone": "resnet18", "image_size": 96, "lr": 0.001, "epochs": "3 of 4"}
    return {
        "data": "data/<demo>",
        "tasks": ["mask"],
        "params": "a: <b>",
        "mistake_count": 3,
        "suspect_counts": {"mask": 2},
        "check": {
            "train": {"people": 4, "photos": 28},
            "extra": {"people": 0},
            "eval": {"photos": 14},
            "warnings": 1,
        },
        "metrics": scores(people=4, photos=28, baseline=baseline, mask=task),
        "submission": {},
        "labels": {
            "photos": 28,
            "people": 4,
            "fixed": [],
            "left_out_of_training": 0,
            "suspect": ["000001: check"],
        },
        "crops": {"train": rates, "eval": rates},
        "groups": [{**group, **{f"{name}_accuracy": value for name, value in accuracies.items()}}],
        "decades": [{**decade, **errors}],
        "classes": [
            {"class": "worn", "precision": 0.5, "recall": 0.5, "f1-score": 0.5, "support": 7.0}
        ],
        "runs": [{**run, **model, "best": 0.5, "weights": "mask 1.00"}],
        "charts": dict.fromkeys(
            ("curves", "confusion", "calibration", "ages", "counts", "mask"), chart
        ),
        "sheets": [report_page.sheet(sheet, "crops of set train")],
        "photos": {"mistakes": photos, "suspects": {"mask": photos}, "heatmaps": {"mask": []}},
    }


def test_the_page_shows_numbers_with_three_digits_and_a_dash_for_missing_ones(content):
    page = report_page.render(**content)
    assert '<td class="bar" style="--share:0.750">0.750</td>' in page
    assert "<td>3.2</td>\n<td>\N{EN DASH}</td>" in page
    assert "No heat maps: explain.photos is 0" in page
    assert "focal" in page


def test_the_page_escapes_text(content):
    page = report_page.render(**content)
    assert "<title>Portrait18: data/&lt;demo&gt;</title>" in page
    assert "a: &lt;b&gt;" in page


def test_scores_of_the_submission_appear_only_if_there_are_answers(content):
    assert "of the submission" not in report_page.render(**content)
    content["submission"] = {**scores(macro_f1=0.4375), "mask": scores(macro_f1=0.9375)}
    page = report_page.render(**content)
    assert "macro-F1 of the submission, evaluation set" in page
    assert ">0.938</td>" in page
