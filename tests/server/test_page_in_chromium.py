"""The page in a browser."""

import pytest
from browser import CHROMIUM, expect, photo, shoot
from fake import CARD, png
from PIL import Image

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)


def test_a_prediction_shows_bars_and_the_faces_box(address, open_page):
    with open_page(address) as page:
        page.set_input_files("#files", [photo("me.png", 13, width=300, height=400)])
        expect(page.locator("#status")).to_have_text("me.png: Mask not worn, male, 30 to 59")
        card = page.get_by_role("article")
        expect(card.get_by_role("heading", level=3)).to_have_text("me.png")
        # What a screen reader reads: font weight and color carry no meaning there.
        bars = [item.inner_text().replace("\n", "") for item in card.get_by_role("listitem").all()]
        assert bars == [
            *("worn13%", "worn incorrectly13%", "not worn, predicted: 75%"),
            *("male, predicted: 75%", "female25%"),
            *("under 3013%", "30 to 59, predicted: 75%", "60 and over13%"),
        ]
        assert card.locator(".predicted .class").all_text_contents() == [
            "not worn",
            "male",
            "30 to 59",
        ]
        expect(card.get_by_text("Age group, about 33 years")).to_be_visible()
        # Bars are as long as their probabilities, and the box covers the face: the second quarter.
        for bar in card.locator("li").all():
            track, fill = bar.locator(".track").bounding_box(), bar.locator(".fill")
            expect(fill).to_have_css("transition-property", "width")
            fill.evaluate(
                "e => Promise.all(e.getAnimations().map((each) => each.finished)).then(() => null)"
            )
            probability = float(bar.locator(".probability").text_content().removesuffix("%")) / 100
            assert fill.bounding_box()["width"] / track["width"] == pytest.approx(
                probability, abs=0.02
            )
        image, box = card.locator("img").bounding_box(), card.locator(".box").bounding_box()
        assert (box["x"], box["width"]) == pytest.approx((image["x"], image["width"]), abs=1)
        assert (box["y"] - image["y"]) / image["height"] == pytest.approx(1 / 4, abs=0.01)
        assert box["height"] / image["height"] == pytest.approx(1 / 4, abs=0.01)
        expect(card.locator("img")).to_have_attribute("alt", "The photo, with 1 face")


def test_the_page_shows_training_data_limits_and_scores_in_view(address, open_page):
    for width, height in ((1100, 800), (360, 740)):
        with open_page(address, width=width, height=height) as page:
            expect(page.locator("#trained")).to_have_text("Trained on 252 photos of 36 people.")
            about = page.get_by_text("Drawn people.", exact=True)
            expect(about).to_be_in_viewport()
            limits = page.locator("#limits li")
            assert limits.all_text_contents() == [*CARD.limits, "Real masks were not measured."]
            for limit in limits.all():
                expect(limit).to_be_in_viewport()
            table = page.get_by_role("table")
            rows = [row.inner_text().split("\t") for row in table.get_by_role("row").all()]
            assert rows == [
                ["Task", "Macro-F1", "Accuracy"],
                ["Mask", "0.92", "0.95"],
                ["Age group", "0.58", "0.57"],
                ["18 classes", "0.47", "0.52"],
            ]
            expect(table.locator("caption")).to_contain_text("on 36 people, each")


def test_each_photo_gets_a_card_with_its_faces_or_the_error(address, open_page):
    with open_page(address) as page:
        text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a photo"}
        page.set_input_files("#files", [photo("two.png", 0, 2), text, photo("none.png", 0, 0)])
        expect(page.locator("#status")).to_have_text("3 photos: 2 faces, 1 could not be used.")
        two, bad, none = page.get_by_role("article").all()
        assert [
            heading.text_content() for heading in two.get_by_role("heading", level=4).all()
        ] == [
            "Face 1: mask worn, male, under 30",
            "Face 2: mask worn, male, under 30",
        ]
        expect(two.locator(".box")).to_have_count(2)
        expect(bad).to_contain_text("This file is not an image; send one of JPEG, PNG")
        expect(bad.locator("img, .face")).to_have_count(0)
        expect(none).to_contain_text("No face was found.")
        page.set_input_files("#files", [photo("two.png", 17)])
        expect(page.get_by_role("article")).to_have_count(
            4
        )  # the same file can be chosen again; the newest comes first
        expect(page.get_by_role("article").first).to_contain_text(
            "Mask not worn, female, 60 and over"
        )


def test_the_keyboard_reaches_every_control_in_visual_order(address, open_page):
    with open_page(address) as page:
        page.set_input_files("#files", [photo("two.png", 4, 2)])
        expect(page.locator(".box")).to_have_count(2)
        page.locator("body").click(position={"x": 1, "y": 1})
        order = []
        for _ in range(9):
            page.keyboard.press("Tab")
            order.append(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.ariaLabel || 'link'"
                )
            )
        assert order[:3] == ["files", "open-camera", "link"]
        assert order[3] == "Face 1: mask worn, female, 30 to 59; go to its predictions"
        assert order[4].startswith("Face 2")
        types = [name.split(":")[0] for name in order[5:8]]
        assert types == ["JSON", "CSV", "Picture"]
        assert order[5].endswith("download the predictions for two.png")
        assert order[8] == "link"
        for _ in range(4):
            page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Face 2")).to_be_focused()
        assert "shown" in page.locator(".box").nth(1).get_attribute("class")
        expect(page.get_by_role("status")).to_contain_text("2 faces")
        expect(page.get_by_label("Choose photos")).to_have_count(1)


def test_a_dropped_photo_is_predicted(address, open_page):
    with open_page(address) as page:
        page.evaluate(
            """data => {
                const moved = new DataTransfer();
                moved.items.add(new File([Uint8Array.from(data)], "dropped.png"));
                const options = { dataTransfer: moved, bubbles: true, cancelable: true };
                document.getElementById("drop").dispatchEvent(new DragEvent("drop", options));
            }""",
            list(png(4)),
        )
        expect(page.locator("#status")).to_have_text("dropped.png: Mask worn, female, 30 to 59")


def test_a_phone_needs_no_sideways_scrolling(address, open_page):
    for path in ("/", "/docs"):
        with open_page(address, path, width=320, height=600) as page:
            if path == "/":
                name = 30 * "very-long-name" + ".png"
                page.set_input_files("#files", [photo(name, 7, 3, width=900, height=600)])
                expect(page.locator(".face")).to_have_count(3)
            else:
                expect(page.get_by_role("heading", name="POST /predict")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_color_schemes_and_reduced_motion_is_respected(
    address, open_page, scheme
):
    with open_page(address, color_scheme=scheme, reduced_motion="reduce") as page:
        page.set_input_files("#files", [photo("me.png", 4), {**photo("x.png"), "buffer": b"x"}])
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        texts = page.evaluate(_CONTRASTS)
        assert len(texts) > 15
        assert [item for item in texts if item[1] < 4.5] == []
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.fill')).transitionDuration")
            == "0s"
        )
    assert (scheme == "dark") == (texts[0][2] > 128)


#: For each element with text: the text, its contrast (WCAG 2.2), and its red channel (0 to 255).
_CONTRASTS = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
  };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.checkVisibility())
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
      const text = parse(getComputedStyle(e).color);
      const [a, b] = [light(text), light(ground(e))].sort((x, y) => y - x);
      return [e.textContent.trim(), (a + 0.05) / (b + 0.05), text[0]];
    });
}"""


def test_the_screenshot_for_the_readme_shows_the_predictions(address, browser, tmp_path):
    me, picture = tmp_path / "me.png", tmp_path / "new" / "page.png"
    me.write_bytes(png(13, width=300, height=400))
    shoot(address, str(me), str(picture), browser)
    with Image.open(picture) as shown:
        assert shown.width == 1100
        assert 600 < shown.height < 2000
