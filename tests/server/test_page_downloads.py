"""The page's downloads and its progress, in a browser."""

import csv
import io
import json
import threading

import pytest
from browser import CHROMIUM, expect, photo
from fake import CARD, FakePredictor, png, post, serving
from PIL import Image

from portrait18.deployment.output_formats import COLUMNS

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not on the PATH (Debian: apt install chromium)"
)


def download(page, button) -> tuple[str, bytes]:
    """Name and content of the file that a button saves."""
    with page.expect_download() as saved:
        button.click()
    return saved.value.suggested_filename, saved.value.path().read_bytes()


def test_the_prediction_of_a_photo_is_saved_as_json_and_as_a_picture_with_boxes(address, open_page):
    with open_page(address) as page:
        page.set_input_files("#files", [photo("me & you.png", 13, 2, width=1200, height=800)])
        buttons = page.get_by_role("article").locator(".downloads button")
        expect(buttons.first).to_be_visible()
        json_name, text = download(page, buttons.nth(0))
        picture_name, picture = download(page, buttons.nth(2))
    saved = json.loads(text)
    (expected,) = post(address, png(13, 2, 1200, 800)).json()["photos"]
    assert json_name == "me & you.json"
    assert saved["photos"] == [{"photo": "me & you.png", **expected}]
    assert saved["model"] == {
        "description": CARD.description,
        "limits": CARD.limits,
        "inputs": CARD.inputs,
    }
    assert picture_name == "me & you-predictions.jpg"
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, image.size) == ("JPEG", (1200, 800))
        # The faces are the left and the right half of the second quarter of the height. Their
        # labels are above.
        points = ((300, 400), (900, 400), (6, 170), (606, 170), (300, 300), (300, 600))
        left, right, first_label, second_label, inside, below = map(image.getpixel, points)
    assert min(left[2], first_label[2]) > 120  # the first color is blue, the photo is green
    assert min(right[0], second_label[0]) > 150  # the second one is orange
    assert inside == pytest.approx((13, 80, 0), abs=12)
    assert below == pytest.approx((13, 80, 0), abs=12)


def test_all_predictions_are_saved_as_csv_like_that_of_the_command_line(address, open_page):
    with open_page(address) as page:
        all_files = page.locator("#all")
        page.set_input_files("#files", [photo("a,b.png", 13, 2)])
        expect(page.locator("#status")).to_contain_text("2 faces")
        expect(all_files).to_be_hidden()
        page.set_input_files("#files", [photo("none.png", 0, 0), photo("c.png", 4)])
        expect(page.locator("#status")).to_contain_text("2 photos: 1 face")
        name, text = download(page, all_files.get_by_role("button", name="CSV"))
    assert name == "predictions.csv"
    header, *rows = csv.reader(io.StringIO(text.decode()))
    assert header == COLUMNS
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["photo"], row["face"]) for row in found] == [
        *(("a,b.png", "1"), ("a,b.png", "2")),
        ("none.png", "0"),
        ("c.png", "1"),
    ]
    (face,) = post(address, png(4)).json()["photos"][0]["faces"]
    row = found[-1]
    assert [float(row[name]) for name in ("x0", "y0", "x1", "y1")] == face["box"]
    assert (row["class"], row["name"]) == (str(face["class"]), face["name"])
    assert float(row["years"]) == face["years"]
    for task in ("mask", "gender", "age"):
        assert row[task] == face[task]["label"]
        for label, probability in face[task]["probabilities"].items():
            assert float(row[f"{task}_{label}"]) == probability


def test_boxes_of_a_photo_that_was_sent_smaller_are_saved_in_its_own_pixels(open_page):
    with serving(max_pixels=1_000_000) as address, open_page(address) as page:
        big = photo("big.bmp", 200, 2, width=1600, height=900, kind="BMP")
        page.set_input_files("#files", [big])
        button = page.get_by_role("article").get_by_role("button", name="JSON")
        _, text = download(page, button)
    (saved,) = json.loads(text)["photos"]
    assert (saved["width"], saved["height"]) == (1600, 900)
    boxes = [face["box"] for face in saved["faces"]]
    assert boxes[0] == pytest.approx([0, 225, 800, 450], abs=2)
    assert boxes[1] == pytest.approx([800, 225, 1600, 450], abs=2)


class OneByOne(FakePredictor):
    """Takes a permit for each batch."""

    def __init__(self):
        super().__init__()
        self.permits = threading.Semaphore(0)

    def detect(self, photos):
        assert self.permits.acquire(timeout=60)
        return super().detect(photos)


def test_several_photos_show_how_many_are_done(open_page):
    predictor = OneByOne()
    with serving(predictor, batch=1) as address, open_page(address) as page:
        bar = page.get_by_role("progressbar")
        page.set_input_files("#files", [photo(f"{i}.png", i) for i in range(6)])
        for done in range(6):
            expect(page.get_by_label(f"{done} of 6 photos")).to_be_visible()
            expect(bar).to_have_js_property("value", done)
            expect(bar).to_have_js_property("max", 6)
            predictor.permits.release()
        expect(bar).to_be_hidden()
        expect(page.locator("#status")).to_have_text("6 photos: 6 faces.")
        predictor.permits.release()
        page.set_input_files("#files", [photo("one.png", 4)])
        expect(page.locator("#status")).to_contain_text("one.png: ")
        expect(bar).to_be_hidden()
