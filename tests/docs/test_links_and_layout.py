"""Links resolve, lines are short, and the root documents have their expected form."""

import re

import pytest
import yaml
from pages import ALL, name
from synthetic import REPO


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", ALL, ids=name)
def test_relative_links_and_their_anchors_exist(path):
    text = path.read_text()
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", text)
    for link in [*links, *re.findall(r'<img src="([^"]+)"', text)]:
        file, _, anchor = link.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked.read_text()), link


@pytest.mark.parametrize("path", ALL, ids=name)
def test_prose_and_code_have_at_most_100_columns(path):
    lines = path.read_text().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_readme_is_short_and_links_to_every_page():
    readme = (REPO / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    pages = {path.relative_to(REPO).as_posix() for path in (REPO / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)#]+)", readme))


def test_modules_of_the_tests_have_distinct_names():
    names = [path.name for path in (REPO / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names)), "pytest imports them without their folders"


def test_changelog_has_the_sections_of_keep_a_changelog():
    text = (REPO / "CHANGELOG.md").read_text()
    assert re.findall(r"^# (.*)", text, re.MULTILINE) == ["Changelog"]
    versions = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    released = r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d"
    assert all(re.fullmatch(released, version) for version in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)", text, re.MULTILINE)) <= kinds


def test_citation_names_version_and_license_of_the_package():
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text())
    project = (REPO / "pyproject.toml").read_text()
    assert citation["cff-version"] == "1.2.0"
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert (REPO / "LICENSE").read_text().startswith(f"{citation['license']} License")
