"""axe-core finds no violation on the pages, in both color schemes and at phone width."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import CHROMIUM, expect, photo

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def violations(page) -> list[str]:
    """Return one line for each violation that axe-core finds; asserts that it checked much."""
    options = {"runOnly": {"type": "tag", "values": TAGS}}
    response = Axe().run(page, options=options).response
    assert len(response["passes"]) > 15
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in response["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("width", [1100, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_violation_before_and_after_predictions(address, open_page, scheme, width):
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with open_page(address, width=width, **options) as page:
        expect(page.locator("#model")).to_be_visible()
        assert violations(page) == []
        text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a photo"}
        photos = [photo("me.png", 13), photo("two.png", 4, 2), photo("none.png", 0, 0), text]
        page.set_input_files("#files", photos)
        expect(page.locator("#status")).to_contain_text("4 photos")
        assert violations(page) == []


@pytest.mark.parametrize("width", [1100, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_api_reference_has_no_violation(address, open_page, scheme, width):
    with open_page(address, "/docs", width=width, color_scheme=scheme) as page:
        expect(page.get_by_role("heading", name="GET /model")).to_be_visible()
        assert violations(page) == []


def test_the_open_camera_has_no_violation(address, open_page):
    with open_page(address, permissions=["camera"]) as page:
        page.get_by_role("button", name="Use the camera").click()
        expect(page.get_by_role("button", name="Take photo")).to_be_focused()
        assert violations(page) == []


def test_axe_finds_a_planted_violation(address, open_page):
    with open_page(address) as page:
        page.evaluate("document.querySelector('html').removeAttribute('lang')")
        assert violations(page)[0].startswith("html-has-lang")
