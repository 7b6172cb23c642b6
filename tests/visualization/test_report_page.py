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
    """A contact sheet of a red, a green and a blue photo."""
    crops = np.stack([np.full((8, 8, 3), color, np.uint8) for color in COLORS])
    contact_sheets.contact_sheet(
        crops, dict.fromkeys(range(3), "x"), tmp_path / "sheet.png", LAYOUT
    )
    return tmp_path / "sheet.png"


def test_photos_of_a_sheet_come_one_by_one_with_their_own_lines(sheet):
    found = report_page.photos(
        sheet, [("is red", "taken for green"), ("is green",), ("is blue",)], LAYOUT
    )
    assert [p["alt"] for p in found] == [
        "Photo: is red, taken for green",
        "Photo: is green",
        "Photo: is blue",
    ]
    for photo, color in zip(found, COLORS, strict=True):
        pixels = np.asarray(decoded(photo["src"]))
        assert pixels.shape == (32, 32, 3)
        assert np.abs(pixels.mean((0, 1)) - color).max() < 5


def test_no_more_photos_than_a_sheet_holds(sheet, monkeypatch):
    monkeypatch.setattr(contact_sheets, "MAX_PHOTOS", 2)
    assert len(report_page.photos(sheet, [("a",)] * 9, LAYOUT)) == 2


def test_pictures_keep_their_size_and_charts_their_bytes(sheet):
    chart, whole = report_page.chart(sheet, "a chart"), report_page.sheet(sheet, "a sheet")
    assert base64.b64decode(chart["src"].split(",")[1]) == sheet.read_bytes()
    assert (
        decoded(chart["src"]).size
        == decoded(whole["src"]).size
        == (chart["width"], chart["height"])
    )
    assert (chart["alt"], whole["alt"]) == ("a chart", "a sheet")


def test_captions_tell_truth_answer_and_probability():
    wrong = pd.DataFrame(
        {"truth": ["worn male <30"], "answer": ["none male <30"], "probability": [0.876]}
    )
    assert report_page.mistakes(wrong) == [
        ("is worn male <30", "taken for none male <30", "p = 0.88")
    ]
    suspect = pd.DataFrame({"recorded": ["male"], "suggested": ["female"], "quality": [0.012]})
    assert report_page.suspects(suspect) == [
        ("recorded male", "rather female?", "p(recorded) = 0.01")
    ]
    chosen = pd.DataFrame(
        {"task": ["age"], "truth": [2], "answer": [1], "probability": [0.5], "right": [0]}
    )
    assert report_page.looked_at(chosen) == [("age: is old", "answered middle, wrong", "p = 0.50")]


def test_trainings_tell_epochs_best_score_and_share_in_the_blend(tmp_path):
    p = params.load(write_params(tmp_path / "params.yaml", {"pseudo_label.models": ["mask"]}))
    matrix = MatrixParams(models=["mask", "gender", "age-class"], folds=[0, 1], seeds=[0])
    wanted = runs.runs_by_model(matrix, PseudoLabelParams(models=["mask"], confidence=0.9))
    for of_model in wanted.values():
        for run in of_model:
            scores = pd.DataFrame({"step": [0, 1, 2], "macro_f1": [0.1, 0.5 + run.fold / 10, 0.3]})
            (folder := tmp_path / run.live / "plots/metrics").mkdir(parents=True)
            scores.to_csv(folder / "macro_f1.tsv", sep="\t", index=False)
    weights = {
        "mask": {"weights": {"mask": 0.25, "mask-round2": 0.75}},
        "age": {"weights": {"age-class": 1.0}},
        "thresholds": {"young_middle": 31.0},
    }
    table = pd.DataFrame(report_page.trainings(wanted, p, weights, tmp_path)).set_index("run")
    assert list(table.index) == [
        f"{m} {f}-0" for m in ("mask", "gender", "age-class", "mask-round2") for f in (0, 1)
    ]
    assert table.best["mask 0-0"] == 0.5
    assert table.best["mask-round2 1-0"] == 0.6
    assert table.epochs["mask 0-0"] == "3 of 4"
    assert table.epochs["age-class 0-0"] == "3 of 8"
    assert table.blend["mask-round2 0-0"] == "mask 0.75"
    assert table.blend["gender 0-0"] == ""
    assert table.task["age-class 1-0"] == "age"
    assert table.lr["mask 0-0"] == 0.001


def test_a_page_without_all_that_it_needs_is_refused():
    with pytest.raises(jinja2.UndefinedError):
        report_page.render(data="data/demo")
