"""The report page of a whole run: complete, self-contained and accessible."""

import itertools
import json
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from portrait18.dataset.classes import TASKS

pytestmark = pytest.mark.pipeline
VOID = {"meta", "img", "br", "link"}  # elements without an end tag


class Page(HTMLParser):
    """Parse HTML into elements (name, attributes) and text; check that every element is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def find(self, name: str) -> list[dict]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def page(finished) -> Page:
    return Page((finished.root / "reports/report.html").read_text())


def test_the_page_is_well_formed_and_loads_nothing(page):
    assert page.open == []
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("data:image/", "#")), attributes[name][:80]
    assert not page.find("script")
    assert not page.find("link")
    (policy,) = [
        m["content"] for m in page.find("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")


def test_the_page_works_on_phones_in_dark_mode_and_with_screen_readers(page):
    assert page.find("html")[0]["lang"] == "en"
    assert {m.get("name"): m.get("content") for m in page.find("meta")}[
        "viewport"
    ] == "width=device-width, initial-scale=1"
    assert "prefers-color-scheme: dark" in page.text
    assert all(image["alt"].strip() for image in page.find("img"))
    headings = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(headings))
    assert all("scope" in cell for cell in page.find("th"))


def test_the_navigation_links_to_every_section(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [link["href"] for link in page.find("a")] == [f"#{i}" for i in ids]


def test_the_page_shows_the_metrics_of_the_run(page, finished):
    metrics = json.loads((finished.root / "reports/metrics.json").read_text())
    for part in (metrics, *(metrics[name] for name in TASKS)):
        assert f"{part['macro_f1']:.3f}" in page.text
        assert f"{part['accuracy']:.3f}" in page.text
    for value in pd.read_csv(finished.root / "reports/evaluate/groups.csv").value:
        assert value in page.text
    for name in yaml.safe_load((finished.root / "params.yaml").read_text())["matrix"]["models"]:
        assert f"{name} 0-0" in page.text


def test_the_page_shows_mistakes_heat_maps_suspects_and_every_plot(page, finished):
    reports = finished.root / "reports"
    alts = [image["alt"] for image in page.find("img")]
    mistakes = pd.read_csv(reports / "evaluate/mistakes.csv")
    assert (
        sum("predicted: " in alt and "true: " in alt for alt in alts) == min(len(mistakes), 48) > 0
    )
    drawn = [len(pd.read_csv(path)) for path in (finished.root / "data/explain").glob("*.csv")]
    assert sum(", correct, p = " in alt or ", wrong, p = " in alt for alt in alts) == sum(drawn) > 0
    suspects = pd.read_csv(reports / "audit/suspects.csv").task.value_counts().clip(upper=48)
    assert sum("label: " in alt and "suggested: " in alt for alt in alts) == suspects.sum()
    plots = (
        "18 classes",
        "over the epochs",
        "Accuracy over confidence",
        "each decade",
        "Photos in each class",
    )
    for plot in (
        *plots,
        "of mask",
        "of gender",
        "of age",
        "face crops, set train",
        "no face, set eval",
    ):
        assert any(plot in alt for alt in alts), plot


def test_dvc_finds_every_plot_of_dvc_yaml(finished, tmp_path):
    plots = yaml.safe_load((finished.root / "dvc.yaml").read_text())["plots"]
    output = finished.run("dvc", "plots", "show", "--json", "-o", str(tmp_path))
    (shown,) = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert not shown.get("errors"), shown["errors"]
    for plot in plots:
        name = plot if isinstance(plot, str) else next(iter(plot))
        assert any(key == name or key.startswith(f"{name}/") for key in shown["data"]), name


def test_removing_a_model_removes_its_heat_maps_from_the_page(project):
    project.set_params({"matrix": {"models": ["mask", "gender", "age-class"]}})
    ran = project.repro()
    assert "report" in ran
    assert not [s for s in ran if s.startswith("train")]
    assert "age-value" not in {p.stem for p in (project.root / "reports/explain").iterdir()}
    html = (project.root / "reports/report.html").read_text()
    headings = html.split('<h2 id="heatmaps">')[1]
    assert "<h3>age-class</h3>" in headings
    assert "<h3>age-value</h3>" not in headings
